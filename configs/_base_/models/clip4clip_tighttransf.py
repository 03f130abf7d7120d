# CLIP4Clip's tightTransf: a transformer over text and frames of each pair. Its size is given by the
# config that uses it.
model = dict(
    type='TextVideoRetriever',
    backbone=dict(freeze_patch_embedding=False),
    temporal=None,
    loss=dict(type='ContrastiveLoss', scaled=False),
)
# Its logits have no scale, so that of CLIP gets no gradient.
find_unused_parameters = True
