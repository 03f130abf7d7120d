# T-MASS on DiDeMo: ViT-B/32, 12 frames, batches of 32.
_base_ = [
    '../_base_/models/tmass_vit-b32.py',
    '../_base_/datasets/didemo_12_frames.py',
    '../_base_/schedules/one_stage.py',
    '../_base_/default_runtime.py',
]

model = dict(similarity=dict(dropout=0.4))
train_dataloader = dict(batch_size=32)
randomness = dict(seed=24)
