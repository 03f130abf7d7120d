"""Training by the generation loss alone."""

import pytest
import torch
from mmaction.registry import MODELS


@pytest.fixture
def cfg(tiny_model_cfg):
    return dict(
        tiny_model_cfg,
        type='GenerativeRet',
        stage='generation',
        similarity=dict(type='CosineSimilarity'),
    )


def test_the_generation_loss_trains_every_part(cfg, batch):
    torch.manual_seed(0)
    model = MODELS.build(cfg).train()
    losses = model(batch(), mode='loss')
    assert set(losses) == {'loss_generation_t2v', 'loss_generation_v2t'}
    sum(losses.values()).backward()
    assert not [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    for part in (model.backbone, model.temporal):
        assert part.training
        assert max(p.grad.abs().max() for p in part.parameters()) > 0


def test_it_has_one_stage(cfg):
    model = MODELS.build(cfg)
    assert {model.stage_of(name) for name in model.state_dict()} == {'generation'}
    with pytest.raises(ValueError, match='stage must be one of'):
        model.set_stage('discrimination')


def test_cached_features_are_refused(cfg):
    with pytest.raises(ValueError, match='no gradient goes'):
        MODELS.build(dict(cfg, negatives='training_set'))
