# DiffusionRet on MSR-VTT with ViT-L/14: 12 frames, 32 words, global batch 128.
_base_ = [
    './_base_/models/diffusionret_vit-l14.py',
    './_base_/datasets/msrvtt.py',
    './_base_/schedules/two_stage.py',
    './_base_/default_runtime.py',
]

# The state of the optimizer is spread over the processes: tools/dist_train.sh, two or more.
optim_wrapper = dict(optimizer=dict(type='ShardedAdamW'))
custom_hooks = [_base_.stage_two, _base_.feature_cache]
