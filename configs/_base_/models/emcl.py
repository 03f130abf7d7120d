# EMCL-Net: cosines of features that are rebuilt from a few bases.
model = dict(
    type='TextVideoRetriever',
    similarity=dict(type='EMSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
