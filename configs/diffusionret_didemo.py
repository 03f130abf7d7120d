# DiffusionRet on DiDeMo: ViT-B/32, 64 frames, 64 words, global batch 128.
# On n GPUs: --cfg-options train_dataloader.batch_size=$((128 / n))
_base_ = [
    './_base_/models/diffusionret_vit-b32.py',
    './_base_/datasets/didemo.py',
    './_base_/schedules/two_stage.py',
    './_base_/default_runtime.py',
]

# 64 frames a video: activations are computed again, not kept.
model = dict(backbone=dict(with_cp=True))

custom_hooks = [_base_.stage_two, _base_.feature_cache]
