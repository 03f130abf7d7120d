# The training of one_stage_shapes_short.py, and 3 epochs of stage two on top.
_base_ = './one_stage_shapes.py'

stage_one_epochs = 8
max_epochs = 11

train_cfg = dict(max_epochs=max_epochs, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=stage_one_epochs, convert_to_iter_based=True),
]
stage_switch = dict(
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
)
