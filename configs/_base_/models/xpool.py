# X-Pool: frames pooled by each text, no temporal module.
model = dict(
    type='TextVideoRetriever',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(type='XPool', width=None, dropout=0.3),
    loss=dict(type='ContrastiveLoss'),
)
