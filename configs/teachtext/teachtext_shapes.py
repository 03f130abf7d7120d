# CLIP4Clip (seqTransf) that learns from WTI and from itself, on clips that the project renders. The
# teachers are trained first: tools/train.py configs/drl/drl_shapes.py, and clip4clip_shapes.py.
_base_ = '../clip4clip/clip4clip_shapes.py'

model = dict(
    type='TeachTextDistillation',
    teachers=[
        dict(
            config=f'configs/{method}/{method}_shapes.py',
            checkpoint=f'work_dirs/{method}_shapes/epoch_29.pth',
        )
        for method in ('drl', 'clip4clip')
    ],
)
