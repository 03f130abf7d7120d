"""A second stage on a split: alone, joined, and without the answers."""

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.features import scoring
from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.scoring import generate_all, rerank_all
from diffusionret_mm.features.second_stage import SecondStage
from diffusionret_mm.models.retrievers.calibration import Alone, Calibration, Match

CALIBRATIONS = dict.fromkeys(
    ('t2v', 'v2t'), Calibration(0.05, 2.0, Match(-1.0, 3.0, 0.5), Alone(0.1, 0.5))
)


@pytest.fixture
def model(tiny_model_cfg):
    torch.manual_seed(0)
    return MODELS.build(dict(tiny_model_cfg, stage='generation', num_draws=2)).eval()


@pytest.fixture
def split(features):
    """Seven videos; the first three have two texts."""
    texts, videos = features(num_texts=10, num_videos=7)
    video_of_text = torch.tensor([0, 0, 1, 1, 2, 2, 3, 4, 5, 6])
    ids = [f'v{row}' for row in range(7)]
    return EncodedSplit(texts, videos, video_of_text, ids, ['text'] * 10)


@pytest.fixture
def second_stage(model, split):
    with torch.no_grad():
        scores = model.similarity(split.texts, split.videos)
    return SecondStage(model, split, scores, scores.t())


@pytest.mark.parametrize('calibrated', [False, True])
def test_the_final_scores_are_those_of_a_model_alone(model, split, second_stage, calibrated):
    if calibrated:
        model.calibrate(CALIBRATIONS)
    with torch.no_grad():
        expected = rerank_all(model, split.texts, split.videos, *second_stage.scores.values())
        found = second_stage.rerank()
    assert all(map(torch.equal, found, expected))


def test_alone_the_listed_candidates_are_in_the_order_of_the_distribution(second_stage):
    rankings = second_stage.rankings()
    assert rankings.keys() == {'generation', 'one_draw'}
    for name, pick in (('generation', 'probabilities'), ('one_draw', 'first_draw')):
        for scores, found in zip(rankings[name], second_stage.found.values(), strict=True):
            order = scores.argsort(dim=1, descending=True, stable=True)[:, : found.best.shape[1]]
            expected = getattr(found, pick).argsort(dim=1, descending=True, stable=True)
            assert torch.equal(order, found.best.gather(1, expected))


def test_a_query_without_its_answers_has_others(model, split, second_stage):
    for direction in ('t2v', 'v2t'):
        found = second_stage.unanswered[direction]
        right = split.is_right(direction).gather(1, found.best)
        assert not right.any()
        assert found.best.shape[1] == model.num_candidates(direction)
        scores = second_stage.scores[direction].masked_fill(split.is_right(direction), -9)
        assert torch.equal(found.scores, scores.topk(found.best.shape[1], dim=1).values)


def test_all_queries_have_as_many_candidates_as_the_one_with_the_fewest(model, split, second_stage):
    model.candidates_per_query = dict(t2v=7, v2t=10)
    found = second_stage.unanswered
    assert [found[name].best.shape[1] for name in ('t2v', 'v2t')] == [6, 8]
    assert all(each.scores.isfinite().all() for each in found.values())
    query = 't2v', second_stage.scores['t2v'][:, :1], split.texts, split.videos[:1]
    with pytest.raises(ValueError, match='direction t2v has no candidate but its answers'):
        generate_all(model, *query, without=torch.ones(10, 1, dtype=torch.bool))


def test_several_right_answers_are_left_out_together(split):
    answers = [[row, 6] for row in split.video_of_text.tolist()]
    several = EncodedSplit(**(vars(split) | dict(answers=answers)))
    assert several.is_right('t2v')[:, 6].all()
    assert torch.equal(several.is_right('v2t'), several.is_right('t2v').t())
    assert split.is_right('t2v').sum() == 10


def test_what_is_measured_of_a_model(model, second_stage):
    assert second_stage.distributions().keys() == {'generation', 'one_draw'}
    assert second_stage.matches() == {}
    model.calibrate(CALIBRATIONS)
    distributions, matches = second_stage.distributions(), second_stage.matches()
    assert distributions.keys() == {'discrimination', 'generation', 'one_draw', ''}
    for pair in distributions.values():
        for listed in pair:
            torch.testing.assert_close(listed.probabilities.sum(1), torch.ones(len(listed.best)))
    listed, found = distributions['one_draw'][0], second_stage.found['t2v']
    expected = found.first_draw.sqrt() / found.first_draw.sqrt().sum(dim=1, keepdim=True)
    torch.testing.assert_close(listed.probabilities, expected)
    assert matches.keys() == {'discrimination', 'generation', ''}
    text, _ = matches['discrimination']
    assert torch.equal(text.answered, second_stage.scores['t2v'].amax(dim=1))
    assert (text.unanswered <= text.answered).all()


def test_nothing_is_said_of_a_first_stage(model, second_stage):
    model.set_stage('discrimination')
    assert second_stage.rerank()[0] is not None
    assert second_stage.rankings() == second_stage.distributions() == second_stage.matches() == {}


def test_processes_and_chunks_change_nothing(model, second_stage, split, monkeypatch):
    model.calibrate(CALIBRATIONS)
    whole, parts = second_stage.unanswered, {}
    model.rerank_chunk = 2
    for rank in range(3):
        monkeypatch.setattr(scoring, 'get_dist_info', lambda rank=rank: (rank, 3))
        monkeypatch.setattr(scoring, 'concat_ranks', lambda part: part[0])
        parts[rank] = SecondStage(model, split, *second_stage.scores.values()).unanswered
    for direction, found in whole.items():
        for name, value in vars(found).items():
            joined = torch.cat([getattr(parts[rank][direction], name) for rank in range(3)])
            torch.testing.assert_close(joined, value)
