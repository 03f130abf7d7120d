# DiffusionRet: weighted token interaction, and two generators that re-rank its best candidates.
# A width of None is that of the backbone.
model = dict(
    type='DiffusionRet',
    similarity=dict(type='WeightedTokenInteraction', width=None),
    generator=dict(
        type='DiffusionGenerator',
        attention=dict(type='TextFrameAttentionHead'),
        denoiser=dict(type='QueryCandidateDenoiser', width=None),
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
