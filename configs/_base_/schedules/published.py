# The schedule of the released code: BertAdam, 5 epochs per stage, CLIP at 1e-7, the rest at 1e-4.
_base_ = './two_stage.py'

stage_one_epochs = 5
train_cfg = dict(max_epochs=10, val_interval=1)

optimizer = dict(
    type='BertAdam', lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2, max_grad_norm=1.0
)
wrapper = dict(
    type='OptimWrapper',
    optimizer=optimizer,
    clip_grad=dict(max_norm=1.0),
    constructor='RoleOptimWrapperConstructor',
    paramwise_cfg=dict(backbone_lr_mult=1e-3, decay='all_but_biases'),
)
optim_wrapper = dict(_delete_=True, **wrapper)
# The released code counts 5 epochs whatever their number.
param_scheduler = [
    dict(type='WarmupCosineLR', period=5, warmup=0.1, convert_to_iter_based=True),
]
stage_switch = dict(
    type='StageSwitchHook',
    begin=stage_one_epochs,
    optim_wrapper=wrapper,
    param_scheduler=param_scheduler,
)
# The published frames are no random draw, so cached features are the features themselves.
published_hooks = dict(
    stage_switch=stage_switch,
    feature_cache=dict(type='FeatureCacheHook'),
    validate_at_start=dict(type='ValidateAtStartHook'),
)
