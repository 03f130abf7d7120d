# LSMDC: 101,079 / 7,408 / 1,000 clips of films with one sentence each.
data_root = 'data/lsmdc'

train_split = dict(type='LSMDCDataset', data_root=data_root, ann_file='LSMDC16_annos_training.csv')
val_split = dict(train_split, ann_file='LSMDC16_annos_val.csv')
test_split = dict(train_split, ann_file='LSMDC16_challenge_1000_publictect.csv')
