# EMCL-Net on MSVD: ViT-B/32, 12 frames, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/emcl.py',
    '../_base_/datasets/msvd.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
train_dataloader = dict(dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)

max_epochs = 20  # published
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=max_epochs, convert_to_iter_based=True),
]
