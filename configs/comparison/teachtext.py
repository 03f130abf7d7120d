# CLIP4Clip seqTransf that learns from WTI and from itself, in the comparison on shapes. Its teachers
# are runs of the comparison: tools/compare.py configs/comparison/{wti,clip4clip_seqtransf}.py
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/teachtext.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/one_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

runs = 'work_dirs/comparison'
model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    teachers=[
        dict(
            config=f'configs/comparison/{name}.py',
            checkpoint=f'{runs}/{name}/seed_0/epoch_8.pth',
        )
        for name in ('wti', 'clip4clip_seqtransf')
    ],
)
