# ActivityNet Captions: 10,009 videos for training and the 4,917 of val_1, on which the field tests.
# The last 500 training videos are for validation, so that the test set chooses nothing.
data_root = 'data/activitynet'

test_split = dict(
    type='ActivityNetCaptionsDataset',
    data_root=data_root,
    ann_file='val_ids.json',
    captions='val_1.json',
)
train_split = dict(test_split, ann_file='train_ids.json', captions='train.json', rows=(0, -500))
val_split = dict(train_split, rows=(-500, None))
