# EMCL-Net: cosines of features that are rebuilt from a few bases.
model = dict(
    type='TextVideoRetriever',
    backbone=dict(freeze_patch_embedding=True),
    similarity=dict(type='EMSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
