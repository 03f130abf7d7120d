# HBI in the comparison on shapes: 8 epochs of 4 frames. Its estimator comes first:
# python tools/train_banzhaf_estimator.py configs/comparison/wti.py \
#     work_dirs/banzhaf_estimator_shapes.pth --iterations 100 --coalitions 32 \
#     --checkpoint work_dirs/comparison/wti/seed_0/epoch_8.pth
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/hbi.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    estimator='work_dirs/banzhaf_estimator_shapes.pth',
)
