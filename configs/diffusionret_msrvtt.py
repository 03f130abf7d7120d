# DiffusionRet on MSR-VTT (9k / 1k-A): ViT-B/32, 12 frames, 32 words, global batch 128.
_base_ = [
    './_base_/models/diffusionret_vit-b32.py',
    './_base_/datasets/msrvtt.py',
    './_base_/schedules/two_stage.py',
    './_base_/default_runtime.py',
]

custom_hooks = [_base_.stage_two, _base_.feature_cache]
