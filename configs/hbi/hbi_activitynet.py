# HBI on ActivityNet Captions: ViT-B/32, 64 frames, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/hbi.py',
    '../_base_/datasets/activitynet.py',
    '../_base_/datasets/paragraphs.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

# 64 frames per video: activations are computed again, not kept.
model = dict(backbone=dict(_base_.backbone, with_cp=True), temporal=_base_.temporal)
train_dataloader = dict(dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)

max_epochs = 10  # published
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=max_epochs, convert_to_iter_based=True),
]
randomness = dict(seed=42)
