# HBI on ActivityNet Captions: ViT-B/32, 64 frames, global batch 128.
_base_ = [
    '../_base_/models/hbi_vit-b32.py',
    '../_base_/datasets/activitynet.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

# 64 frames a video: activations are computed again, not kept.
model = dict(backbone=dict(with_cp=True))

max_epochs = 10  # published
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=max_epochs, convert_to_iter_based=True),
]
randomness = dict(seed=42)
