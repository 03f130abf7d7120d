# TextDiff: X-Pool, and 10 diffusion steps on the text embedding.
model = dict(
    type='TextDiff',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(type='XPool', width=None, dropout=0.3),
    loss=dict(type='ContrastiveLoss'),
    diffusion=dict(
        type='TextDiffusion',
        denoiser=dict(type='TextDenoiser', width=None, num_frames=12),
        scheduler=dict(type='DDIMScheduler'),
        noise_schedule='cosine',
        num_train_steps=10,
        num_sample_steps=10,
        teacher_iterations=250,
    ),
    teacher_student=dict(type='TeacherStudentLoss', weight=1.0),
    num_candidates=32,
)
