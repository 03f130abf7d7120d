# Mean of frames for videos of one's own, without training or a checkpoint: what `tools/index.py`
# takes if it is given no config. Any other encoder: --backbone ARCH.
_base_ = [
    '../_base_/backbones/pe-core-b16.py',
    '../_base_/models/zeroshot_mean.py',
    '../_base_/datasets/sentences.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone)
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # it has no data set
