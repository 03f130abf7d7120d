# X-Pool on MSR-VTT (9k / 1k-A): ViT-B/32, 12 frames, batches of 32.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/xpool.py',
    '../_base_/datasets/msrvtt.py',
    '../_base_/datasets/sentences.py',
    '../_base_/schedules/one_stage.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone)
train_dataloader = dict(batch_size=32, dataset=dict(_base_.train_split, item='caption'))
val_dataloader = dict(dataset=_base_.val_split)
test_dataloader = dict(dataset=_base_.test_split)
randomness = dict(seed=24)
