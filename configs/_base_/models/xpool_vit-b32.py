# X-Pool on OpenAI's ViT-B/32: frames pooled by each text, no temporal module.
width = 512

model = dict(
    type='TextVideoRetriever',
    backbone=dict(
        type='OpenCLIPBackbone',
        arch='ViT-B-32-quickgelu',
        pretrained='openai',
        freeze_patch_embedding=False,
    ),
    similarity=dict(type='XPool', width=width, dropout=0.3),
    loss=dict(type='ContrastiveLoss'),
)
