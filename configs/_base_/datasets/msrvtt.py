# MSR-VTT, 9k training split and 1k-A test. The last 500 of the 9,000 training videos are for
# validation, so that the test set chooses nothing (published code chooses on the test set).
_base_ = './sentences.py'

data_root = 'data/msrvtt'
dataset = dict(type='MSRVTTDataset', data_root=data_root)
train_split = dict(dataset, ann_file='MSRVTT_train.9k.csv')

train_dataloader = dict(dataset=dict(train_split, rows=(0, -500)))
val_dataloader = dict(dataset=dict(train_split, rows=(-500, None)))
test_dataloader = dict(dataset=dict(dataset, ann_file='MSRVTT_JSFUSION_test.csv'))
