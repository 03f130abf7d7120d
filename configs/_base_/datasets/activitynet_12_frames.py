# As X-Pool, T-MASS and TextDiff read it: 12 frames and 77 words.
_base_ = './activitynet.py'

num_frames = 12
max_words = 77
train_pipeline, test_pipeline = (
    [dict(decode, sample=dict(decode['sample'], num_frames=num_frames)), crop]
    + [dict(tokenize, max_words=max_words), pack]
    for decode, crop, tokenize, pack in (_base_.train_pipeline, _base_.test_pipeline)
)

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
