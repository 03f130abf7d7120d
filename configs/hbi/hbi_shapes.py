# HBI from random weights on clips that the project renders.
# The estimator comes first, from a trained WTI:
# python tools/train_banzhaf_estimator.py configs/drl/drl_shapes.py \
#     work_dirs/banzhaf_estimator_shapes.pth --checkpoint work_dirs/drl_shapes/epoch_29.pth
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/hbi.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    estimator='work_dirs/banzhaf_estimator_shapes.pth',
)
