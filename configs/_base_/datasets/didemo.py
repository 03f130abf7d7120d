# DiDeMo: about 8,390 / 1,065 / 1,004 videos, of which the first 31 seconds count.
data_root = 'data/didemo'

train_split = dict(type='DiDeMoDataset', data_root=data_root, split='train')
val_split = dict(train_split, split='val')
test_split = dict(train_split, split='test')
