# TextDiff in the comparison on shapes: 9 epochs; the teacher alone for the share of
# textdiff_shapes.py, about a fifth of them.
_base_ = [
    '../_base_/models/textdiff_tiny.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(diffusion=dict(teacher_iterations=62))
