"""The parts in other people's configs."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner

PLAIN_MMACTION = """
custom_imports = dict(imports=['diffusionret_mm'], allow_failed_imports=False)
default_scope = 'mmaction'
model = dict(
    type='Recognizer2D',
    backbone=dict(type='ResNet', depth=18, norm_eval=False),
    cls_head=dict(type='TSNHead', num_classes=2, in_channels=512, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCHW',
    ),
)
pipeline = [
    dict(type='DecordInit'),
    dict(type='SampleVideoFrames', num_frames=4),
    dict(type='DecordDecode'),
    dict(type='CLIPResizeCrop', size=32),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
train_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='VideoDataset', ann_file='list.txt', pipeline=pipeline),
)
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
"""


@pytest.fixture
def plain_config(tmp_path, write_clip):
    lines = [f'{write_clip(tmp_path / f"{label}.mp4")} {label}' for label in (0, 1)]
    (tmp_path / 'list.txt').write_text('\n'.join(lines))
    path = tmp_path / 'tsn.py'
    path.write_text(PLAIN_MMACTION.replace("'list.txt'", repr(str(tmp_path / 'list.txt'))))
    return path


def test_a_plain_mmaction_model_trains_through_our_transforms(plain_config, tmp_path):
    cfg = Config.fromfile(plain_config)
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    before = runner.model.cls_head.fc_cls.weight.clone()
    runner.train()
    assert runner.iter == 1
    assert not torch.equal(runner.model.cls_head.fc_cls.weight, before)


def test_attention_and_generator_work_outside_our_retriever():
    """Re-rank the candidates of another model, given their features."""
    attention = MODELS.build(dict(type='TextFrameAttentionHead', temperature=0.5))
    generator = MODELS.build(
        dict(
            type='DiffusionGenerator',
            direction='t2v',
            attention=dict(type='TextFrameAttentionHead'),
            denoiser=dict(type='QueryCandidateDenoiser', width=32),
            num_sample_steps=5,
        )
    )
    text, frames = torch.randn(2, 32), torch.randn(2, 6, 4, 32)
    mask = torch.ones(2, 6, 4, dtype=torch.bool)
    assert attention(text[:, None], frames, mask).shape == (2, 6, 32)
    context = generator.context(text, frames, mask)
    loss = MODELS.build(dict(type='GenerationKLLoss'))
    loss(generator(context, torch.tensor([3, 40]), torch.randn(2, 6))).backward()
    assert generator.denoiser.q_proj.weight.grad.abs().sum() > 0
    x = generator.sample(context, torch.randn(2, 6))
    assert x.shape == (2, 6)
    assert x.abs().max() <= 1
