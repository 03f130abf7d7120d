# MSVD: 1,200 / 100 / 670 videos with about 40 captions each. An epoch shows a video with each of its
# captions, as published code does: one a video would make epochs of 9 iterations.
_base_ = './sentences.py'

data_root = 'data/msvd'
dataset = dict(type='MSVDDataset', data_root=data_root)

train_dataloader = dict(dataset=dict(dataset, ann_file='train_list.txt', item='caption'))
val_dataloader = dict(dataset=dict(dataset, ann_file='val_list.txt'))
test_dataloader = dict(dataset=dict(dataset, ann_file='test_list.txt'))
