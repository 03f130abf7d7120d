# The schedule for data sets whose epochs are long: LSMDC, and MSVD with an item for each caption.
_base_ = './two_stage.py'

stage_one_epochs = 5
max_epochs = 7

train_cfg = dict(max_epochs=max_epochs, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, end=stage_one_epochs, convert_to_iter_based=True),
]
stage_switch = dict(
    _base_.stage_switch,
    begin=stage_one_epochs,
    param_scheduler=[
        dict(
            type='CosineAnnealingLR',
            begin=0,
            end=max_epochs - stage_one_epochs,
            convert_to_iter_based=True,
        ),
    ],
)
