# DiffusionRet on LSMDC: ViT-B/32, 12 frames, 32 words, global batch 128.
_base_ = [
    './_base_/models/diffusionret_vit-b32.py',
    './_base_/datasets/lsmdc.py',
    './_base_/schedules/two_stage_few_epochs.py',
    './_base_/default_runtime.py',
]

custom_hooks = [_base_.stage_two, _base_.feature_cache]
