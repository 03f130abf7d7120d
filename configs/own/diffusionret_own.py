# DiffusionRet on videos of one's own: ViT-B/32, 12 frames, 32 words, global batch 128.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/own.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/two_stage.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
train_dataloader = dict(dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)
default_hooks = dict(stage_switch=_base_.stage_switch, feature_cache=_base_.feature_cache)
