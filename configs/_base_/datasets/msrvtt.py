# MSR-VTT, 9k training split and 1k-A test. The last 500 of the 9,000 training videos are for
# validation, so that the test set chooses nothing (published code chooses on the test set).
data_root = 'data/msrvtt'
num_frames = 12
max_words = 32
image_size = 224

text_and_pack = [
    dict(type='TokenizeCaptions', max_words=max_words),
    dict(type='PackTextVideoInputs'),
]
train_pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleVideoFrames', num_frames=num_frames, rule='random'),
    dict(type='DecordDecode'),
    dict(type='CLIPResizeCrop', size=image_size),
    *text_and_pack,
]
test_pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleVideoFrames', num_frames=num_frames),
    dict(type='DecordDecode'),
    dict(type='CLIPResizeCrop', size=image_size),
    *text_and_pack,
]

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='GroupSampler', shuffle=True),
    dataset=dict(
        type='MSRVTTDataset',
        data_root=data_root,
        ann_file='MSRVTT_train.9k.csv',
        rows=(0, 8500),
        captions_per_video=1,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MSRVTTDataset',
        data_root=data_root,
        ann_file='MSRVTT_train.9k.csv',
        rows=(8500, 9000),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='MSRVTTDataset',
        data_root=data_root,
        ann_file='MSRVTT_JSFUSION_test.csv',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
