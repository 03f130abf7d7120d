# WTI alone in the comparison on shapes: 9 epochs.
_base_ = [
    '../_base_/models/drl_tiny.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]
