# How short videos with sentences are read: 12 frames, 32 words, and the loaders. The size of the
# frames, how they are resized, and the tokenizer follow the backbone.
num_frames = 12
max_words = 32

resize_and_pack = [
    dict(type='CLIPResizeCrop'),
    dict(type='TokenizeCaptions', max_words=max_words),
    dict(type='PackTextVideoInputs'),
]
sample = dict(type='SampleVideoFrames', num_frames=num_frames)
train_pipeline = [dict(type='DecodeVideo', sample=dict(sample, rule='random')), *resize_and_pack]
test_pipeline = [dict(type='DecodeVideo', sample=sample), *resize_and_pack]
# Whole seconds read by OpenCV (in order: its own seeks are 'opencv_seeks'), in training too: see
# docs/protocol.md.
published_pipeline = [
    dict(type='DecodeVideo', sample=dict(sample, rule='whole_seconds'), decoders=('opencv',)),
    *resize_and_pack,
]

# Stage two takes the frames of the validation: a cache cannot hold a new draw for each epoch.
feature_cache = dict(type='FeatureCacheHook', pipeline='val_dataloader')

train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='GroupSampler', shuffle=True),
    dataset=dict(captions_per_video=1, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(pipeline=test_pipeline, test_mode=True),
)
