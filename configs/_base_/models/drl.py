# DRL: weighted token interaction alone.
model = dict(
    type='TextVideoRetriever',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(type='WeightedTokenInteraction', width=None),
    loss=dict(type='ContrastiveLoss'),
)
