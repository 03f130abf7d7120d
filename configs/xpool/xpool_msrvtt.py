# X-Pool on MSR-VTT (9k / 1k-A): ViT-B/32, 12 frames, batches of 32.
_base_ = [
    '../_base_/models/xpool_vit-b32.py',
    '../_base_/datasets/msrvtt.py',
    '../_base_/schedules/one_stage.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=32, dataset=dict(item='caption'))
randomness = dict(seed=24)
