# EMCL-Net on MSVD: ViT-B/32, 12 frames, global batch 128.
_base_ = [
    '../_base_/models/emcl_vit-b32.py',
    '../_base_/datasets/msvd.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

max_epochs = 20  # published
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=max_epochs, convert_to_iter_based=True),
]
