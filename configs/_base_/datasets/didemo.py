# DiDeMo: about 8,390 / 1,065 / 1,004 videos, of which the first 31 seconds count.
_base_ = './paragraphs.py'

data_root = 'data/didemo'
dataset = dict(type='DiDeMoDataset', data_root=data_root)

train_dataloader = dict(dataset=dict(dataset, split='train'))
val_dataloader = dict(dataset=dict(dataset, split='val'))
test_dataloader = dict(dataset=dict(dataset, split='test'))
