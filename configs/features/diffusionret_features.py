# DiffusionRet behind any encoder: features that tools/import_features.py wrote, and no backbone.
# data_root has a folder for each split. The widths follow the features.
_base_ = [
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/features.py',
    '../_base_/schedules/two_stage.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=None, embed_dim=None)
optim_wrapper = dict(paramwise_cfg=dict(backbone_lr_mult=1.0))
default_hooks = dict(stage_switch=_base_.stage_switch, feature_cache=dict(type='FeatureCacheHook'))
