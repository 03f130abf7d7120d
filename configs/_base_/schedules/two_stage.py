# AdamW, one warm-up and cosine per stage. An epoch shows each video once, with one of its captions.
stage_one_epochs = 50
max_epochs = 70

train_cfg = dict(type='TextVideoTrainLoop', max_epochs=max_epochs, val_interval=5)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.98), weight_decay=0.2),
    clip_grad=dict(max_norm=1.0),
    constructor='RoleOptimWrapperConstructor',
    paramwise_cfg=dict(backbone_lr_mult=0.01),  # CLIP: 1e-6
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=5, end=stage_one_epochs, convert_to_iter_based=True),
]

stage_switch = dict(
    type='StageSwitchHook',
    begin=stage_one_epochs,
    optim_wrapper=dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.98), weight_decay=0.2),
        clip_grad=dict(max_norm=1.0),
        constructor='RoleOptimWrapperConstructor',
    ),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.01, begin=0, end=2, convert_to_iter_based=True),
        dict(
            type='CosineAnnealingLR',
            begin=2,
            end=max_epochs - stage_one_epochs,
            convert_to_iter_based=True,
        ),
    ],
)

# The global batch, to which lr belongs: the processes share it. --auto-scale-lr scales lr linearly
# for another.
auto_scale_lr = dict(enable=False, base_batch_size=128)
