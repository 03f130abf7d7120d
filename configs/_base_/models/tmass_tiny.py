# T-MASS on the tiny backbone.
_base_ = './xpool_tiny.py'

model = dict(
    type='TMASS',
    similarity=dict(type='StochasticXPool', num_frames=8, num_samples=20),
    support_weight=0.8,
)
