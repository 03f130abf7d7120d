# CLIP4Clip: the cosine of a text and the mean of the frames. A temporal transformer makes it
# seqTransf, a TemporalLSTM seqLSTM, and none meanP.
model = dict(
    type='TextVideoRetriever',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(type='CosineSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
