# Features of other programs, as tools/import_features.py writes them, a folder for each split.
data_root = 'data/features'

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='GroupSampler', shuffle=True),
    dataset=dict(
        type='FeatureDataset',
        data_root=f'{data_root}/train',
        captions_per_video=1,
        pipeline=[],
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FeatureDataset', data_root=f'{data_root}/val', pipeline=[], test_mode=True),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='FeatureDataset', data_root=f'{data_root}/test', pipeline=[], test_mode=True),
)
