# Videos of one's own: lists train.json, val.json and test.json in data_root (docs/guides/own_data.md).
data_root = 'data/own'

train_split = dict(type='TextVideoDataset', data_root=data_root, ann_file='train.json')
val_split = dict(train_split, ann_file='val.json')
test_split = dict(train_split, ann_file='test.json')
