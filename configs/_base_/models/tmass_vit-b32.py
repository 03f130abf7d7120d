# T-MASS on OpenAI's ViT-B/32.
_base_ = './xpool_vit-b32.py'

model = dict(
    type='TMASS',
    similarity=dict(type='StochasticXPool', num_frames=12, num_samples=20, prior='uniform'),
    support_weight=0.0,
)
