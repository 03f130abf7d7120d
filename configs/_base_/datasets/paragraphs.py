# What data sets of long videos with paragraphs share: 64 frames and 64 words.
_base_ = './sentences.py'

num_frames = 64
max_words = 64
lengths = dict(
    SampleVideoFrames=dict(num_frames=num_frames), TokenizeCaptions=dict(max_words=max_words)
)
train_pipeline = [dict(step, **lengths.get(step['type'], {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **lengths.get(step['type'], {})) for step in _base_.test_pipeline]
published_pipeline = [
    dict(step, **lengths.get(step['type'], {})) for step in _base_.published_pipeline
]
feature_cache = dict(type='FeatureCacheHook', pipeline=test_pipeline, batch_size=8)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
