# T-MASS on ActivityNet Captions: ViT-B/32, 12 frames, batches of 32.
_base_ = [
    '../_base_/models/tmass_vit-b32.py',
    '../_base_/datasets/activitynet_12_frames.py',
    '../_base_/schedules/one_stage.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=32)
randomness = dict(seed=24)
