# CLIP4Clip seqTransf in the comparison on shapes: 8 epochs of 4 frames.
_base_ = [
    '../_base_/models/clip4clip_tiny.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]
