# CLIP4Clip (seqLSTM) from random weights on clips that the project renders.
_base_ = [
    '../_base_/models/clip4clip_seqlstm_tiny.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes.py',
    '../_base_/default_runtime.py',
]
