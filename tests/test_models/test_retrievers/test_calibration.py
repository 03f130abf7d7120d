"""Similarity and generator as one probability."""

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.retrievers.calibration import Alone, Calibration, Match


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
    found = Calibration.fit(*drawn)
    assert (found.temperature, found.weight) == (0.04, 1.5)


def test_each_expert_alone_has_numbers_of_its_own(drawn):
    scores, generated, right = drawn
    flat = torch.full_like(generated, 1 / 6)
    by_similarity = Calibration.fit(scores, flat, right)
    alone = Calibration.fit(*drawn).alone
    assert alone.temperature == by_similarity.temperature
    assert alone.temperature > 0.04  # without the generator, S is less sure
    by_generator = Calibration.fit(torch.zeros_like(scores), generated, right)
    assert alone.weight == by_generator.weight
    assert alone.weight > 0


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


def lists(num_queries, level, seed):
    """Similarities and logits of lists, larger by a level."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        level * size + torch.randn(num_queries, 6, generator=generator) * size
        for size in (0.1, 2.0)
    )


def test_a_match_is_as_likely_as_it_is_said_to_be():
    answered, unanswered = lists(20_000, 1.0, 0), lists(20_000, 0.0, 1)
    match = Match.fit(answered, unanswered)
    said = torch.cat([match.probability(*each) for each in (answered, unanswered)])
    is_match = torch.arange(40_000) < 20_000
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (said >= low) & (said < low + 0.2)
        assert inside.sum() > 1000
        assert is_match[inside].double().mean().item() == pytest.approx(low + 0.1, abs=0.04)


def test_a_match_has_the_likeliest_weights():
    answered, unanswered = lists(500, 0.5, 0), lists(500, 0.0, 1)
    match = Match.fit(answered, unanswered)

    def likelihood(**other):
        changed = Match(**(vars(match) | other))
        right = (
            changed.probability(*answered).log().mean()
            + (1 - changed.probability(*unanswered)).log().mean()
        )
        return right.item()

    for name, value in vars(match).items():
        for factor in (0.8, 1.25):
            assert likelihood(**{name: value * factor}) < likelihood()


def test_queries_that_are_told_apart_have_finite_weights():
    match = Match.fit(lists(50, 100.0, 0), lists(50, 0.0, 1))
    assert all(abs(value) < 1e4 for value in vars(match).values())
    flat = Match.fit((torch.ones(3, 2), torch.ones(3, 2)), (torch.ones(3, 2), torch.ones(3, 2)))
    assert flat.probability(torch.ones(1, 2), torch.ones(1, 2)).item() == pytest.approx(0.5)


MATCHED = {
    name: Calibration(one.temperature, one.weight, Match(-1.0, 2.0, 0.5), Alone(0.1, 0.75))
    for name, one in CALIBRATIONS.items()
}


@pytest.mark.parametrize('calibrations', [None, CALIBRATIONS, MATCHED])
def test_a_judged_ranking_is_the_ranking(model, features, calibrations):
    texts, videos = features(num_texts=5, num_videos=9)
    model.num_draws, model.rerank_chunk = 2, 2
    if calibrations:
        model.calibrate(calibrations)
    with torch.no_grad():
        query = 't2v', model.similarity(texts, videos), texts, videos, torch.arange(5)
        after = model.rerank_and_judge(*query)
        assert torch.equal(after.scores, model.rerank_queries(*query))
        found = model.generate(*query)
    assert (after.judgement is None) == (calibrations is None)
    if calibrations:
        log_p = calibrations['t2v'].log_probabilities(found.scores, found.probabilities)
        torch.testing.assert_close(after.judgement.probabilities, log_p.exp())
    if calibrations is MATCHED:
        logit = -1 + 2 * found.scores[:, 0] + 0.5 * found.logits.amax(dim=1)
        torch.testing.assert_close(after.judgement.confidence, logit.sigmoid())
        expected = (found.scores / 0.1).softmax(dim=1)
        torch.testing.assert_close(after.judgement.by_similarity, expected)
        expected = found.probabilities**0.75
        expected = expected / expected.sum(dim=1, keepdim=True)
        torch.testing.assert_close(after.judgement.by_generator, expected)


def test_the_mean_of_two_draws_is_that_of_each(model, features):
    texts, videos = features(num_texts=5, num_videos=9)
    with torch.no_grad():
        query = 't2v', model.similarity(texts, videos), texts, videos, torch.arange(5)
        one = model.generate(*query)
        model.num_draws = 2
        two = model.generate(*query)
    assert torch.equal(one.first_draw, one.probabilities)
    torch.testing.assert_close(two.first_draw, one.first_draw)
    assert not torch.allclose(two.probabilities, one.probabilities)
    assert (model.averaged_draws, two.logits.shape) == (2, (5, 4))


def test_fewer_candidates_can_be_asked_for(model, features):
    texts, videos = features(num_texts=5, num_videos=9)
    with torch.no_grad():
        query = 't2v', model.similarity(texts, videos), texts, videos, torch.arange(5)
        found, fewer = model.generate(*query), model.generate(*query, num_candidates=3)
        assert model.generate(*query, num_candidates=0) is None
    assert torch.equal(fewer.best, found.best[:, :3])
    torch.testing.assert_close(fewer.probabilities.sum(dim=1), torch.ones(5))


def test_why_there_is_no_confidence(model, tiny_model_cfg):
    assert 'CalibrateHook has not calibrated it' in model.no_confidence
    model.calibrate(CALIBRATIONS)
    assert 'calibrated before that was kept' in model.no_confidence
    model.calibrate(MATCHED)
    assert model.no_confidence is None
    other = MODELS.build(dict(tiny_model_cfg, stage='generation'))
    other.load_state_dict(model.state_dict())
    assert other.no_confidence is None
    assert vars(other.calibrated('v2t').match) == pytest.approx(vars(MATCHED['v2t'].match))
    model.set_stage('discrimination')
    assert "no confidence in stage 'discrimination'" in model.no_confidence
