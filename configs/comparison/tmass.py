# T-MASS in the comparison on shapes: 8 epochs of 4 frames.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/tmass.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    similarity=dict(num_frames=_base_.num_frames),
    support_weight=0.8,
)
