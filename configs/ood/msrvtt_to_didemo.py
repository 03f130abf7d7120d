# A model trained on MSR-VTT, tested on DiDeMo: `tools/test.py` with a checkpoint of
# configs/diffusionret_msrvtt.py. Frames and words are as many as the target's videos and texts need,
# also if that is more than in training: the model has positions for 77 of each.
# Any other pair: the model of the source, the data set of the target, and the lines below.
_base_ = [
    '../_base_/backbones/vit-b32.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/didemo.py',
    '../_base_/datasets/paragraphs.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
test_dataloader = dict(dataset=_base_.test_split)
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # the target is only for testing
