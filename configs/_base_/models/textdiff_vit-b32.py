# TextDiff on OpenAI's ViT-B/32: 10 diffusion steps on the text embedding.
_base_ = './xpool_vit-b32.py'

model = dict(
    type='TextDiff',
    diffusion=dict(
        type='TextDiffusion',
        denoiser=dict(type='TextDenoiser', width=_base_.width, num_frames=12),
        scheduler=dict(type='DDIMScheduler'),
        noise_schedule='cosine',
        num_train_steps=10,
        num_sample_steps=10,
        teacher_iterations=250,
    ),
    teacher_student=dict(type='TeacherStudentLoss', weight=1.0),
    num_candidates=32,
)
