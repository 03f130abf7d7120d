# The test videos of shapes with their frames in random order: a model that reads time must suffer.
# `tools/test.py` with a checkpoint of configs/diffusionret_shapes.py.
_base_ = [
    '../_base_/backbones/tiny_convnext.py',
    '../_base_/models/diffusionret.py',
    '../_base_/datasets/shapes_4_frames.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=_base_.backbone, temporal=_base_.temporal)
test_dataloader = dict(
    dataset=dict(
        pipeline=[
            _base_.load_frames,
            dict(type='ShuffleFrames'),
            dict(type='TokenizeCaptions', max_words=_base_.max_words),
            dict(type='PackTextVideoInputs'),
        ]
    )
)
train_dataloader = val_dataloader = val_cfg = val_evaluator = None  # only for testing
