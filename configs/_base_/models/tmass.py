# T-MASS: X-Pool with texts as stochastic masses.
model = dict(
    type='TMASS',
    backbone=dict(freeze_patch_embedding=False),
    similarity=dict(
        type='StochasticXPool',
        width=None,
        dropout=0.3,
        num_frames=12,
        num_samples=20,
        prior='uniform',
    ),
    loss=dict(type='ContrastiveLoss'),
    support_weight=0.0,
)
