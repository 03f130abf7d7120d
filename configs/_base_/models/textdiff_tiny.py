# TextDiff on the tiny backbone.
_base_ = './xpool_tiny.py'

model = dict(
    type='TextDiff',
    diffusion=dict(
        type='TextDiffusion',
        denoiser=dict(type='TextDenoiser', width=_base_.width, num_frames=8),
        num_train_steps=10,
        num_sample_steps=10,
        teacher_iterations=200,
    ),
    num_candidates=32,
)
