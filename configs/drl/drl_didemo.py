# WTI of DRL on DiDeMo: ViT-B/32, 64 frames, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/drl.py',
    '../_base_/datasets/didemo.py',
    '../_base_/datasets/paragraphs.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

# 64 frames per video: activations are computed again, not kept.
model = dict(
    backbone=dict(_base_.backbone, with_cp=True),
    temporal=_base_.temporal,
    similarity=dict(hidden_width='embed_dim'),
)
train_dataloader = dict(dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)
