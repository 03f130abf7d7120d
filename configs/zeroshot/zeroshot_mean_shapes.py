# Mean of frames on shapes, without training. The tiny encoder has no published
# weights: give a file by --cfg-options model.backbone.pretrained=FILE.
_base_ = [
    '../_base_/backbones/tiny_convnext.py',
    '../_base_/models/zeroshot_mean.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone)
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # only for testing and search
