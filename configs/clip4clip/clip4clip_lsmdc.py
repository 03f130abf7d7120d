# CLIP4Clip (seqTransf) on LSMDC: ViT-B/32, 12 frames, global batch 128.
_base_ = [
    '../_base_/models/clip4clip_vit-b32.py',
    '../_base_/datasets/lsmdc.py',
    '../_base_/schedules/baselines.py',
    '../_base_/default_runtime.py',
]

randomness = dict(seed=42)
