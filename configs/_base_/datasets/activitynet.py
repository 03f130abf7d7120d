# ActivityNet Captions: 10,009 videos for training and the 4,917 of val_1, on which the field tests.
# The last 500 training videos are for validation, so that the test set chooses nothing.
_base_ = './paragraphs.py'

data_root = 'data/activitynet'
dataset = dict(type='ActivityNetCaptionsDataset', data_root=data_root)
train_split = dict(dataset, ann_file='train_ids.json', captions='train.json')

train_dataloader = dict(dataset=dict(train_split, rows=(0, -500)))
val_dataloader = dict(dataset=dict(train_split, rows=(-500, None)))
test_dataloader = dict(dataset=dict(dataset, ann_file='val_ids.json', captions='val_1.json'))
