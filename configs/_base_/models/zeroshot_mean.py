# Pre-trained weights alone: the cosine of a text and the mean of the frames. Nothing is trained; the
# loss is there for those who train on.
model = dict(
    type='TextVideoRetriever',
    similarity=dict(type='CosineSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
