# A model trained on shapes, tested on blurred, noisy and strongly compressed clips:
# `tools/test.py` with a checkpoint of configs/diffusionret_shapes.py. For another method: its model, and
# the lines below.
_base_ = [
    '../_base_/backbones/tiny_convnext.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
test_dataloader = dict(dataset=dict(data_root='data/shapes_noise', shift='noise'))
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # the target is only for testing
