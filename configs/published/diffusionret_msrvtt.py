# DiffusionRet on MSR-VTT as the released code trains and evaluates it: see docs/protocol.md.
# ViT-B/32, 12 frames, 32 words, global batch 128.
_base_ = [
    '../_base_/models/diffusionret_vit-b32_published.py',
    '../_base_/datasets/msrvtt.py',
    '../_base_/schedules/published.py',
    '../_base_/published_runtime.py',
]

train_dataloader = dict(dataset=dict(item='caption', pipeline=_base_.published_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.published_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.published_pipeline))
