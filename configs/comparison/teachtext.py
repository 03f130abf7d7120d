# CLIP4Clip seqTransf that learns from WTI and from itself, in the comparison on shapes. Its teachers
# are runs of the comparison: tools/compare.py configs/comparison/{wti,clip4clip_seqtransf}.py
_base_ = './clip4clip_seqtransf.py'

runs = 'work_dirs/comparison'
model = dict(
    type='TeachTextDistillation',
    teachers=[
        dict(
            config=f'configs/comparison/{name}.py',
            checkpoint=f'{runs}/{name}/seed_0/epoch_8.pth',
        )
        for name in ('wti', 'clip4clip_seqtransf')
    ],
)
