# DiffusionRet on ActivityNet Captions as the released code trains and evaluates it: see docs/protocol.md.
# ViT-B/32, 64 frames, 64 words, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/diffusionret_published.py',
    '../_base_/datasets/activitynet.py',
    '../_base_/datasets/paragraphs.py',
    '../_base_/schedules/published.py',
    '../_base_/published_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
pipeline = _base_.published_pipeline
train_dataloader = dict(dataset=dict(_base_.train_split, item='caption', pipeline=pipeline))
val_dataloader = dict(dataset=dict(_base_.val_split, pipeline=pipeline))
test_dataloader = dict(dataset=dict(_base_.test_split, pipeline=pipeline))
default_hooks = _base_.published_hooks
