# The same clips, 4 frames of each: a step costs half.
_base_ = './shapes.py'

num_frames = 4
load_frames = dict(
    type='CacheInMemory',
    transforms=[
        dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=num_frames)),
        dict(type='Resize', scale=(64, 64), keep_ratio=False),
    ],
)
pipeline = [
    load_frames,
    dict(type='TokenizeCaptions', max_words=_base_.max_words),
    dict(type='PackTextVideoInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=pipeline))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
