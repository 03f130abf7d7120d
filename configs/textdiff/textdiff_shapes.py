# TextDiff from random weights on clips that the project renders.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/textdiff.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    diffusion=dict(denoiser=dict(num_frames=_base_.num_frames), teacher_iterations=200),
)
