# How long videos with paragraphs are read: 64 frames and 64 words.
_base_ = './sentences.py'

num_frames = 64
max_words = 64
train_pipeline, test_pipeline, published_pipeline = (
    [dict(decode, sample=dict(decode['sample'], num_frames=num_frames)), crop]
    + [dict(tokenize, max_words=max_words), pack]
    for decode, crop, tokenize, pack in (
        _base_.train_pipeline,
        _base_.test_pipeline,
        _base_.published_pipeline,
    )
)
feature_cache = dict(type='FeatureCacheHook', pipeline='val_dataloader', batch_size=8)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
