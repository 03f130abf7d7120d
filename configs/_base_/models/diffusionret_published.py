# DiffusionRet in the published protocol: see docs/protocol.md.
_base_ = './diffusionret.py'

model = dict(
    similarity=dict(padding='zero'),
    generator=dict(attention=dict(masking='after_softmax')),
    loss=dict(contrastive=dict(same_video='negative')),
    same_video='negative',
    gather='published',
)
