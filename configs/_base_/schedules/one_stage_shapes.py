# One stage from random weights on shapes, as long as both stages of DiffusionRet together.
max_epochs = 29

train_cfg = dict(type='TextVideoTrainLoop', max_epochs=max_epochs, val_interval=3)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.5e-3, betas=(0.9, 0.98), weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=1.0),
    constructor='RoleOptimWrapperConstructor',
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=max_epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=64)
