# The training of one_stage_shapes.py in short, for comparisons with several seeds.
_base_ = './one_stage_shapes.py'

max_epochs = 8

train_cfg = dict(max_epochs=max_epochs, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=2, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=2, end=max_epochs, convert_to_iter_based=True),
]
