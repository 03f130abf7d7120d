import pytest
import torch

from diffusionret_mm.evaluation import (
    TextVideoRetrievalMetric,
    dual_softmax,
    evaluate_ranking,
    format_metrics,
)

SCORES = torch.tensor(
    [[0.9, 0.2, 0.3, 0.1], [0.8, 0.7, 0.6, 0.5], [0.1, 0.9, 0.8, 0.2], [0.3, 0.4, 0.2, 0.1]]
)
OWN = torch.arange(4)


def summary(t2v, v2t, direction):
    # The recorded ranks break ties by position, which puts the one tie of the example last.
    metrics = evaluate_ranking(t2v, v2t, OWN, ties='pessimistic')
    return [metrics[f'{direction}/{name}'] for name in ('R@1', 'MdR', 'MnR')]


def test_recorded_metrics_before_and_after():
    assert summary(SCORES, SCORES.t(), 't2v') == [25, 2, 2.25]
    assert summary(SCORES, SCORES.t(), 'v2t') == [50, 1.5, 2]
    assert summary(*dual_softmax(SCORES, SCORES.t()), 't2v') == [50, 1.5, 1.75]


def test_chance_in_an_all_zero_gallery():
    zeros = torch.zeros(1000, 1000)
    metrics = evaluate_ranking(zeros, zeros, torch.arange(1000))
    assert metrics['t2v/R@1'] == pytest.approx(0.1)
    assert metrics['t2v/MnR'] == 500.5


def test_each_direction_has_its_own_axis():
    scores = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    t2v, v2t = dual_softmax(scores, scores.t(), temperature=0.1)
    torch.testing.assert_close((t2v / scores).sum(dim=0), torch.ones(3))
    torch.testing.assert_close((v2t / scores.t()).sum(dim=0), torch.ones(5))
    # The wrong axis keeps the order of every video's texts; this one does not.
    scores = torch.tensor([[0.5, 0.6], [0.45, 0.1]])
    assert dual_softmax(scores, scores.t())[1].argmax(dim=1).tolist() == [1, 0]


def test_a_row_of_its_own_beside_the_plain_result():
    sample = dict(rankings={'': (SCORES, SCORES.t())}, video_of_text=OWN)

    def evaluate(**options):
        metric = TextVideoRetrievalMetric(**options)
        metric.process(None, [sample])
        return metric.evaluate(size=1)

    plain, both = evaluate(), evaluate(post_processing={'DSL': dict(temperature=0.01)})
    assert not any(name.startswith('DSL') for name in plain)
    assert plain.items() < both.items()
    assert both['DSL/t2v/R@1'] == 50
    assert 'DSL    text -> video' in format_metrics(both)


def test_errors():
    with pytest.raises(ValueError, match=r"among \['DSL', 'IS', 'QB-Norm'\]; got \['QB'\]"):
        TextVideoRetrievalMetric(post_processing={'QB': {}})
    with pytest.raises(ValueError, match='temperature must be positive'):
        dual_softmax(SCORES, SCORES.t(), temperature=0)
