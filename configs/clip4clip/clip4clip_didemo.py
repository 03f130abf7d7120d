# CLIP4Clip (seqTransf) on DiDeMo: ViT-B/32, 64 frames, global batch 128.
_base_ = [
    '../_base_/models/clip4clip_vit-b32.py',
    '../_base_/datasets/didemo.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

# 64 frames a video: activations are computed again, not kept.
model = dict(backbone=dict(with_cp=True))
randomness = dict(seed=42)
