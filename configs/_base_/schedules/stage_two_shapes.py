# Stage two alone, on a first stage that is trained already: load_from names its checkpoint. The cache
# holds four views of each video: other frames, cropped, brighter or darker.
max_epochs = 16
train_cfg = dict(type='TextVideoTrainLoop', max_epochs=max_epochs, val_interval=4)

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1.5e-3, weight_decay=0.05, fused=True),
    clip_grad=dict(max_norm=1.0),
    constructor='RoleOptimWrapperConstructor',
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=max_epochs, convert_to_iter_based=True),
]
stage_switch = dict(
    type='StageSwitchHook', begin=0, optim_wrapper=optim_wrapper, param_scheduler=param_scheduler
)
augmentation = dict(
    type='AugmentFrames',
    transforms=[
        dict(type='RandomResizedCrop', area_range=(0.85, 1.0), aspect_ratio_range=(0.95, 1.05)),
        dict(type='Resize', scale=(64, 64), keep_ratio=False),
        dict(type='ColorJitter', brightness=0.1, contrast=0.1, saturation=0, hue=0),
    ],
)
feature_cache = dict(
    type='FeatureCacheHook',
    views=4,
    pipeline=[
        dict(
            type='CacheInMemory',
            transforms=[
                dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=8)),
                dict(type='Resize', scale=(64, 64), keep_ratio=False),
            ],
        ),
        dict(type='ThinFrames', num_frames=4),
        augmentation,
        dict(type='TokenizeCaptions', max_words=24),
        dict(type='PackTextVideoInputs'),
    ],
)
auto_scale_lr = dict(enable=False, base_batch_size=64)
