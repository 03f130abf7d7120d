"""Every config is read and its model built."""

from pathlib import Path

import pytest
from mmaction.registry import MODELS
from mmengine.config import Config

CONFIGS = sorted(path for path in Path('configs').rglob('*.py') if '_base_' not in path.parts)


@pytest.mark.parametrize('path', CONFIGS, ids=str)
def test_a_config_is_short_and_its_model_builds(path):
    assert len(path.read_text().splitlines()) <= 60
    cfg = Config.fromfile(path)
    assert MODELS.build(cfg.model).stage == 'generation'


def test_msrvtt_has_the_published_sizes():
    cfg = Config.fromfile('configs/diffusionret_msrvtt.py')
    assert cfg.train_dataloader.batch_size == cfg.auto_scale_lr.base_batch_size == 128
    model = MODELS.build(cfg.model)
    frames, words = 12, 32
    assert cfg.num_frames == frames
    assert cfg.max_words == words
    assert model.backbone.embed_dim == 512
    assert len(model.temporal.transformer.resblocks) == 4
    assert model.generators['t2v'].num_sample_steps == 50
