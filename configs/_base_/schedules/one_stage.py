# The recipe of X-Pool, T-MASS and TextDiff: 5 epochs in batches of 32, CLIP at 1e-6, the rest at
# 1e-5, a warm-up over a tenth of the steps and a cosine to 0, decay of every parameter.
max_epochs = 5

train_cfg = dict(type='TextVideoTrainLoop', max_epochs=max_epochs, val_interval=1)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='TransformersAdamW', lr=1e-5, weight_decay=0.2),
    clip_grad=dict(max_norm=1.0),
    constructor='RoleOptimWrapperConstructor',
    paramwise_cfg=dict(backbone_lr_mult=0.1, decay='all'),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, begin=0, end=0.5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=0.5, end=max_epochs, convert_to_iter_based=True),
]
auto_scale_lr = dict(enable=False, base_batch_size=32)
