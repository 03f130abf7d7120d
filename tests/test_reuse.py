"""Parts of one's own, and ours in other people's configs: the examples of two guides, run."""

import re
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner
from own_parts import forget_parts

GUIDES = Path(__file__).parents[1] / 'docs/guides'


def blocks(guide):
    text = (GUIDES / guide).read_text(encoding='utf-8')
    return re.findall(r'```python\n(.*?)```', text, flags=re.DOTALL)


OWN = blocks('add_retriever.md')[0]
PLAIN_MMACTION, OUTSIDE = blocks('parts.md')


@pytest.fixture
def plain_config(tmp_path, write_clip):
    lines = [f'{write_clip(tmp_path / f"{label}.mp4")} {label}' for label in (0, 1)]
    (tmp_path / 'list.txt').write_text('\n'.join(lines))
    path = tmp_path / 'tsn.py'
    text = PLAIN_MMACTION.replace("'list.txt'", repr(str(tmp_path / 'list.txt')))
    path.write_text(text.replace('size=224', 'size=32'))
    return path


@pytest.fixture
def own_model():
    """Register the model of the guide for one test."""
    exec(OWN, {'__name__': 'halved'})
    yield
    forget_parts('halved')


@pytest.mark.usefixtures('own_model')
def test_a_model_of_ones_own_re_ranks(tiny_model_cfg, features):
    parts = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity', 'temporal')}
    model = MODELS.build(dict(parts, type='Halved', loss=dict(type='ContrastiveLoss'))).eval()
    texts, videos = features(num_texts=3, num_videos=40)
    scores = model.similarity(texts, videos).detach()
    t2v, _ = model.rerank(scores, texts, videos)
    changed = t2v != scores
    assert (changed.sum(dim=1) == 32).all()
    torch.testing.assert_close(t2v[changed], scores[changed] / 2)


def test_a_plain_mmaction_model_trains_through_our_transforms(plain_config, tmp_path):
    cfg = Config.fromfile(plain_config)
    cfg.work_dir = str(tmp_path / 'work')
    runner = Runner.from_cfg(cfg)
    before = runner.model.cls_head.fc_cls.weight.clone()
    runner.train()
    assert runner.iter == 1
    assert not torch.equal(runner.model.cls_head.fc_cls.weight, before)


def test_the_generator_of_the_guide_works_outside_our_retriever():
    names = {}
    exec(OUTSIDE, names)
    assert names['scores'].shape == (2, 32)
    assert names['scores'].abs().max() <= 1
    generator, context = names['generator'], names['context']
    loss = MODELS.build(dict(type='GenerationKLLoss'))
    loss(generator(context, torch.tensor([3, 40]), torch.randn(2, 32))).backward()
    assert generator.denoiser.q_proj.weight.grad.abs().sum() > 0
    assert generator.denoiser.k_proj.weight.grad.abs().sum() > 0
