# TextDiff on LSMDC: ViT-B/32, 12 frames, batches of 32.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/textdiff.py',
    '../_base_/datasets/lsmdc.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/one_stage.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone)
train_dataloader = dict(batch_size=32, dataset=_base_.train_split)
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)

# The published rate of 1e-7 would leave what is new as it starts.
optim_wrapper = dict(optimizer=dict(lr=1e-4), paramwise_cfg=dict(backbone_lr_mult=0.01))
randomness = dict(seed=24)
