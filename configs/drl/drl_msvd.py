# WTI of DRL on MSVD: ViT-B/32, 12 frames, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/drl.py',
    '../_base_/datasets/msvd.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    similarity=dict(hidden_width='embed_dim'),
)
train_dataloader = dict(dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)
