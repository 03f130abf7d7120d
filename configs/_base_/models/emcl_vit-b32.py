# EMCL-Net on OpenAI's ViT-B/32.
_base_ = './clip4clip_vit-b32.py'

model = dict(
    backbone=dict(freeze_patch_embedding=True),
    similarity=dict(_delete_=True, type='EMSimilarity'),
)
