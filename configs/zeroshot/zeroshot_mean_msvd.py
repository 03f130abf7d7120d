# Mean of frames on MSVD, without training or a checkpoint: ViT-B/32.
# Any other encoder: --backbone ARCH.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/zeroshot_mean.py',
    '../_base_/datasets/msvd.py',
    '../_base_/datasets/sentences.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone)
test_dataloader = dict(dataset=_base_.test_split)
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # only for testing and search
