# The same from random weights, with small towers and batches of 4: a first try of a list, on any
# machine and without a download. It learns no more than a few clips can teach.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/own.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/two_stage_few_epochs.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal, num_negatives=3)
loader = dict(batch_size=4, num_workers=0, persistent_workers=False, pin_memory=False)
train_dataloader = dict(loader, dataset=_base_.train_split)
val_dataloader = dict(loader, dataset=_base_.val_split)
test_dataloader = dict(loader, dataset=_base_.test_split)
optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3, weight_decay=0.05),
    paramwise_cfg=dict(backbone_lr_mult=1.0),  # nothing is pre-trained
)
default_hooks = dict(stage_switch=_base_.stage_switch, feature_cache=_base_.feature_cache)
auto_scale_lr = dict(base_batch_size=4)
