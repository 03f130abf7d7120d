"""Average precision and the best candidate, for queries with several right answers."""

import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import SeveralAnswersMetric
from diffusionret_mm.evaluation.several_answers import (
    average_precision,
    precision_at_1,
    right_answers,
)


def area_under_the_curve(scores, right):
    """Precision times the gain of recall, over all thresholds from the highest down."""
    area, recall = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        found = scores >= threshold
        reached = right[found].sum() / right.sum()
        area += (reached - recall) * right[found].mean()
        recall = reached
    return area


def test_average_precision_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    scores, right = rng.integers(0, 7, (30, 20)).astype(np.float32), rng.random((30, 20)) < 0.2
    right[:, 3] = True
    wanted = [area_under_the_curve(*row) for row in zip(scores, right, strict=True)]
    found = average_precision(torch.from_numpy(scores), torch.from_numpy(right))
    assert found.tolist() == pytest.approx(wanted, abs=1e-12)


def test_the_order_of_candidates_does_not_matter():
    scores = torch.tensor([[0.5, 0.5, 0.1], [0.5, 0.1, 0.5]])
    right = torch.tensor([[True, False, False], [False, False, True]])
    assert average_precision(scores, right).tolist() == [0.5, 0.5]
    assert precision_at_1(scores, right).tolist() == [0.5, 0.5]


def test_blocks_change_nothing(monkeypatch):
    scores, right = torch.rand(9, 11), torch.rand(9, 11) < 0.5
    right[:, 0] = True
    wanted = average_precision(scores, right)
    monkeypatch.setattr('diffusionret_mm.evaluation.several_answers._BLOCK_ELEMENTS', 12)
    assert torch.equal(average_precision(scores, right), wanted)


@pytest.mark.parametrize(
    ('scores', 'right', 'message'),
    [
        (torch.zeros(2, 3), torch.ones(2, 2, dtype=torch.bool), 'matrices of one shape'),
        (
            torch.full((1, 2), torch.nan),
            torch.ones(1, 2, dtype=torch.bool),
            r'scores\[0, 0\] is NaN',
        ),
        (torch.zeros(1, 2), torch.zeros(1, 2, dtype=torch.bool), 'Query 0 has no right answer'),
    ],
)
def test_bad_matrices_are_refused(scores, right, message):
    for measure in (average_precision, precision_at_1):
        with pytest.raises(ValueError, match=message):
            measure(scores, right)


@pytest.mark.parametrize('answers', [[[]], [[3]], [[-1]]])
def test_answers_outside_of_the_candidates_are_refused(answers):
    with pytest.raises(ValueError, match='Query 0 must have right answers among 3'):
        right_answers(answers, 3)


def measured(**sample):
    metric = SeveralAnswersMetric()
    metric.process(None, [sample])
    return metric.evaluate(size=1)


def test_metric_counts_every_right_answer_in_both_directions():
    scores = torch.tensor([[0.2, 0.9], [0.3, 0.1], [0.1, 0.8]])
    sample = dict(
        rankings={'': (scores, scores.t()), 'discrimination': (-scores, -scores.t())},
        video_of_text=torch.tensor([0, 0, 1]),
    )
    metrics = measured(**sample, answers=[[0, 1], [0], [1]])
    assert metrics['t2v/P@1'] == metrics['t2v/mAP'] == 100.0
    assert metrics['v2t/P@1'] == metrics['v2t/mAP'] == 100.0
    assert metrics['discrimination/t2v/P@1'] == pytest.approx(100 / 3)
    assert metrics['discrimination/v2t/mAP'] == pytest.approx(100 * (1 / 2 + 2 / 3) / 2)
    own = measured(**sample, answers=[[0], [0], [1]])
    assert own['t2v/P@1'] == pytest.approx(200 / 3)
    assert own['v2t/mAP'] == pytest.approx(100 * ((1 + 2 / 2) / 2 + 1 / 2) / 2)


def test_a_data_set_without_answers_is_refused():
    with pytest.raises(ValueError, match="needs the key 'answers'"):
        measured(rankings={'': (torch.eye(2), torch.eye(2))}, video_of_text=torch.arange(2))
