# CLIP4Clip (seqTransf) that learns from WTI and from itself, on clips that the project renders. The
# teachers are trained first: tools/train.py configs/drl/drl_shapes.py, and clip4clip_shapes.py.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/teachtext.py',
    '../_base_/datasets/shapes.py',
    '../_base_/schedules/one_stage_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    teachers=[
        dict(
            config=f'configs/{method}/{method}_shapes.py',
            checkpoint=f'work_dirs/{method}_shapes/epoch_29.pth',
        )
        for method in ('drl', 'clip4clip')
    ],
)
