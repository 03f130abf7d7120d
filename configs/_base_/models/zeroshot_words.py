# Pre-trained weights alone: the best frame of each word and the best word of each frame, all of the
# same weight. Nothing is trained; the loss is there for those who train on.
model = dict(
    type='TextVideoRetriever',
    similarity=dict(type='TokenInteraction'),
    loss=dict(type='ContrastiveLoss'),
)
