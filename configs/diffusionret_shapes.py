# DiffusionRet from random weights on clips that the project renders: the main job, anywhere.
_base_ = [
    './_base_/backbones/tiny_convnext.py',
    './_base_/models/diffusionret.py',
    './_base_/datasets/shapes_4_frames.py',
    './_base_/schedules/two_stage.py',
    './_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal, num_negatives=63)

stage_one_epochs = 20
max_epochs = 25
train_cfg = dict(max_epochs=max_epochs, val_interval=5)

optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3, weight_decay=0.05, fused=True),
    paramwise_cfg=dict(backbone_lr_mult=1.0),  # nothing is pre-trained
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=stage_one_epochs, convert_to_iter_based=True),
]

default_hooks = dict(
    stage_switch=dict(
        type='StageSwitchHook',
        begin=stage_one_epochs,
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05, fused=True),
            clip_grad=dict(max_norm=1.0),
            constructor='RoleOptimWrapperConstructor',
        ),
        param_scheduler=[
            dict(
                type='CosineAnnealingLR',
                begin=0,
                end=max_epochs - stage_one_epochs,
                convert_to_iter_based=True,
            ),
        ],
    ),
    feature_cache=dict(type='FeatureCacheHook'),
)
auto_scale_lr = dict(base_batch_size=64)
