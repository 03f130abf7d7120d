# Clips that the project renders itself, read through the same decoder as any other.
data_root = 'data/shapes'
num_frames = 8
max_words = 24

# Every epoch takes the same frames, and they are small: they are decoded once and kept.
load_frames = dict(
    type='CacheInMemory',
    transforms=[
        dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=num_frames)),
        dict(type='Resize', scale=(64, 64), keep_ratio=False),
    ],
)
pipeline = [
    load_frames,
    dict(type='TokenizeCaptions', max_words=max_words),
    dict(type='PackTextVideoInputs'),
]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    drop_last=True,
    sampler=dict(type='GroupSampler', shuffle=True),
    dataset=dict(
        type='ShapesDataset',
        data_root=data_root,
        split='train',
        captions_per_video=1,
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ShapesDataset', data_root=data_root, split='val', pipeline=pipeline, test_mode=True
    ),
)
test_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='ShapesDataset', data_root=data_root, split='test', pipeline=pipeline, test_mode=True
    ),
)
