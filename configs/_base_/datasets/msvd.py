# MSVD: 1,200 / 100 / 670 videos with about 40 captions each. An epoch shows a video with each of its
# captions, as published code does: one per video would make epochs of 9 iterations.
data_root = 'data/msvd'

val_split = dict(type='MSVDDataset', data_root=data_root, ann_file='val_list.txt')
train_split = dict(val_split, ann_file='train_list.txt', item='caption')
test_split = dict(val_split, ann_file='test_list.txt')
