# MSR-VTT, 9k training split and 1k-A test. The last 500 of the 9,000 training videos are for
# validation, so that the test set chooses nothing (published code chooses on the test set).
data_root = 'data/msrvtt'

train_split = dict(
    type='MSRVTTDataset', data_root=data_root, ann_file='MSRVTT_train.9k.csv', rows=(0, -500)
)
val_split = dict(train_split, rows=(-500, None))
test_split = dict(type='MSRVTTDataset', data_root=data_root, ann_file='MSRVTT_JSFUSION_test.csv')
