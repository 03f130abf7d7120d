# CLIP4Clip (seqTransf) on MSR-VTT (9k / 1k-A): ViT-B/32, 12 frames, global batch 128.
_base_ = [
    '../_base_/models/clip4clip_vit-b32.py',
    '../_base_/datasets/msrvtt.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(dataset=dict(item='caption'))
randomness = dict(seed=42)
