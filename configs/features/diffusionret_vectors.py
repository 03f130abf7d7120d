# A second stage behind an embedding model that makes one vector per text and video, compared by their
# cosine: there is no first stage to train. data_root as in diffusionret_features.py.
_base_ = [
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/stage_two_shapes.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=None,
    embed_dim=None,
    similarity=dict(_delete_=True, type='CosineSimilarity'),
    negatives='sampled_gallery',
    gallery_sizes=(300, 600),
    num_candidates=16,
)
train_dataloader = dict(batch_size=64)
default_hooks = dict(
    stage_switch=_base_.stage_switch,
    feature_cache=dict(type='FeatureCacheHook'),
    calibrate=dict(type='CalibrateHook'),
)
