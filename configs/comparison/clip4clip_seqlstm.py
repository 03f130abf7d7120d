# CLIP4Clip seqLSTM in the comparison on shapes: 8 epochs of 4 frames.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/clip4clip.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=dict(type='TemporalLSTM', width=_base_.width))
