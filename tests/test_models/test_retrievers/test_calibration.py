"""Similarity and generator as one probability."""

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.retrievers.calibration import Calibration


@pytest.fixture(scope='module')
def drawn():
    """Queries whose right candidate is drawn from a product of experts."""
    torch.manual_seed(0)
    scores = torch.rand(4000, 6).sort(dim=1, descending=True).values / 5
    generated = torch.randn(4000, 6).softmax(dim=1)
    log_p = Calibration(0.04, 1.5).log_probabilities(scores, generated)
    answer = log_p.exp().multinomial(1)
    return scores, generated, torch.zeros_like(scores, dtype=torch.bool).scatter(1, answer, True)


def test_the_likeliest_weights_are_found(drawn):
    assert Calibration.fit(*drawn) == Calibration(0.04, 1.5)


def test_a_generator_that_knows_nothing_gets_no_weight(drawn):
    scores, generated, right = drawn
    blind = torch.full_like(generated, 1 / 6)
    assert Calibration.fit(scores, blind, right).weight == 0


def test_queries_without_a_right_candidate_do_not_count(drawn):
    scores, generated, right = drawn
    right = right.clone()
    right[::2] = False
    expected = Calibration.fit(*(value[1::2] for value in (scores, generated, right)))
    assert Calibration.fit(scores, generated, right) == expected
    with pytest.raises(ValueError, match='nothing to calibrate on'):
        Calibration.fit(scores, generated, torch.zeros_like(right))


@pytest.fixture
def model(tiny_model_cfg):
    torch.manual_seed(0)
    return MODELS.build(dict(tiny_model_cfg, stage='generation')).eval()


CALIBRATIONS = dict(t2v=Calibration(0.05, 2.0), v2t=Calibration(0.1, 0.0))


def test_a_calibrated_model_adds_probabilities(model, features):
    texts, videos = features(num_texts=5)
    with torch.no_grad():
        scores = model.similarity(texts, videos)
        index = torch.arange(5)
        found = model.generate('t2v', scores, texts, videos, index)
        model.calibrate(CALIBRATIONS)
        t2v, v2t = model.rerank(scores, texts, videos)
    log_p = CALIBRATIONS['t2v'].log_probabilities(found.scores, found.probabilities)
    expected = scores.scatter(1, found.best, found.scores[:, -1:] + log_p.exp())
    torch.testing.assert_close(t2v, expected)
    torch.testing.assert_close(
        (t2v.gather(1, found.best) - found.scores[:, -1:]).sum(1), torch.ones(5)
    )
    assert v2t.argsort(dim=1).equal(scores.t().argsort(dim=1))


def test_checkpoints_keep_it_and_those_of_before_have_none(model, tiny_model_cfg):
    model.calibrate(CALIBRATIONS)
    other = MODELS.build(dict(tiny_model_cfg, stage='generation'))
    other.load_state_dict(model.state_dict())
    assert vars(other.calibrated('t2v')) == pytest.approx(vars(CALIBRATIONS['t2v']))
    before = {name: value for name, value in model.state_dict().items() if name != 'calibration'}
    other.load_state_dict(before)
    assert other.calibrated('t2v') is None
    with pytest.raises(CheckpointError, match='unknown: nothing'):
        other.load_state_dict(dict(before, nothing=torch.zeros(1)))


def test_nothing_is_generated_in_stage_one(model, features):
    texts, videos = features(num_texts=5)
    model.set_stage('discrimination')
    assert model.generate('t2v', torch.rand(5, 5), texts, videos, torch.arange(5)) is None
