# How X-Pool, T-MASS and TextDiff read long videos with paragraphs: 12 frames and 77 words.
_base_ = './sentences.py'

max_words = 77
train_pipeline, test_pipeline = (
    [decode, crop, dict(tokenize, max_words=max_words), pack]
    for decode, crop, tokenize, pack in (_base_.train_pipeline, _base_.test_pipeline)
)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(batch_size=8, dataset=dict(pipeline=test_pipeline))
