# LSMDC: 101,079 / 7,408 / 1,000 clips of films with one sentence each.
_base_ = './sentences.py'

data_root = 'data/lsmdc'
dataset = dict(type='LSMDCDataset', data_root=data_root)

train_dataloader = dict(dataset=dict(dataset, ann_file='LSMDC16_annos_training.csv'))
val_dataloader = dict(dataset=dict(dataset, ann_file='LSMDC16_annos_val.csv'))
test_dataloader = dict(dataset=dict(dataset, ann_file='LSMDC16_challenge_1000_publictect.csv'))
