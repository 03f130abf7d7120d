# The published sizes on OpenAI's ViT-B/32.
width = 512

model = dict(
    type='DiffusionRet',
    backbone=dict(type='OpenCLIPBackbone', arch='ViT-B-32-quickgelu', pretrained='openai'),
    temporal=dict(type='TemporalTransformer', width=width, num_layers=4),
    similarity=dict(type='WeightedTokenInteraction', width=width),
    generator=dict(
        type='DiffusionGenerator',
        attention=dict(type='TextFrameAttentionHead'),
        denoiser=dict(type='QueryCandidateDenoiser', width=width),
        scheduler=dict(type='DDIMScheduler'),
        noise_schedule='cosine',
        num_train_steps=50,
        num_sample_steps=50,
    ),
    loss=dict(
        type='KLContrastiveLoss',
        contrastive=dict(type='ContrastiveLoss'),
        generation=dict(type='GenerationKLLoss', scale=100.0),
    ),
    num_negatives=127,
    num_candidates=32,
)
