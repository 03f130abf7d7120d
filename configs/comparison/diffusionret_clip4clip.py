# DiffusionRet's generators on CLIP4Clip's seqTransf, which is stage one: all else as in diffusionret.py.
_base_ = [
    '../_base_/backbones/tiny.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/schedules/two_stage_shapes_short.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=_base_.backbone,
    temporal=_base_.temporal,
    similarity=dict(_delete_=True, type='CosineSimilarity'),
    num_negatives=63,
)
default_hooks = dict(stage_switch=_base_.stage_switch, feature_cache=dict(type='FeatureCacheHook'))
