"""QB-Norm and inverted softmax on a gallery with a hub, against loops in float64."""

import math

import pytest
import torch

from diffusionret_mm.evaluation import (
    TextVideoRetrievalMetric,
    dual_softmax,
    evaluate_ranking,
    inverted_softmax,
    querybank_normalisation,
)

OWN = torch.arange(30)


@pytest.fixture
def hub():
    """30 texts and videos, 90 bank queries; video 7 and text 3 are near to every query."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape):
        return 0.02 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    scores = 0.1 + 0.2 * torch.eye(30, dtype=torch.float64) + noise(30, 30)
    t2v, v2t = scores.clone(), scores.t().clone()
    banks = [0.1 + noise(90, 30) for _ in range(2)]
    for matrix, bank, column in ((t2v, banks[0], 7), (v2t, banks[1], 3)):
        matrix[:, column] += 0.25
        bank[:, column] += 0.25
    return t2v, v2t, *banks


def by_loop(scores, bank, beta, num_best=1, min_count=1):
    counts = [0] * scores.shape[1]
    for row in bank.tolist():
        for column in sorted(range(len(row)), key=lambda c: -row[c])[:num_best]:
            counts[column] += 1
    result = []
    for row in scores.tolist():
        if counts[row.index(max(row))] >= min_count:
            sums = [sum(math.exp(beta * b) for b in column) for column in bank.t().tolist()]
            row = [math.log(math.exp(beta * s) / z) for s, z in zip(row, sums, strict=True)]
        result.append(row)
    return torch.tensor(result, dtype=torch.float64)


@pytest.mark.parametrize(
    ('options', 'beta', 'counts'),
    [(dict(), 20, (1, 1)), (dict(preset='jpthu17'), 70, (3, 5)),
     (dict(beta=50.0, num_best=2, min_count=dict(t2v=2, v2t=4)), 50, (2, 4))],
)  # fmt: skip
def test_equals_a_loop(hub, options, beta, counts):
    before = [matrix.clone() for matrix in hub]
    done = querybank_normalisation(*hub, **options)
    k = options.get('num_best', 1)
    for index in range(2):
        expected = by_loop(hub[index], hub[2 + index], beta, k, counts[index])
        torch.testing.assert_close(done[index], expected)
    assert all(torch.equal(old, new) for old, new in zip(before, hub, strict=True))


def test_inverted_softmax_equals_a_loop_and_does_not_overflow(hub):
    done = inverted_softmax(*hub, beta=30.0)
    for index in range(2):
        expected = by_loop(hub[index], hub[2 + index], 30.0, min_count=0)
        torch.testing.assert_close(done[index], expected)
    large = inverted_softmax(*(100 * matrix.float() for matrix in hub))
    assert all(matrix.isfinite().all() for matrix in large)


def test_the_hub_is_removed(hub):
    t2v, v2t, *banks = hub
    plain = evaluate_ranking(t2v, v2t, OWN)
    assert plain['t2v/R@1'] < 30
    assert plain['v2t/R@1'] < 30
    assert (t2v.argmax(dim=1) == 7).sum() > 20
    for done in (querybank_normalisation(*hub), inverted_softmax(*hub), dual_softmax(t2v, v2t)):
        metrics = evaluate_ranking(*done, OWN)
        assert metrics['t2v/R@1'] == metrics['v2t/R@1'] == 100
        assert (done[0].argmax(dim=1) == 7).sum() == 1


def test_dual_softmax_equals_a_loop(hub):
    for matrix, done in zip(hub[:2], dual_softmax(*hub[:2], temperature=0.05), strict=True):
        for row in range(30):
            for column in range(30):
                total = sum(math.exp(s / 0.05) for s in matrix[:, column].tolist())
                share = math.exp(matrix[row, column].item() / 0.05) / total
                assert done[row, column].item() == pytest.approx(matrix[row, column].item() * share)


def test_a_query_whose_best_is_no_hub_is_left_alone(hub):
    t2v, v2t, bank, other = hub
    t2v[5] = -1.0
    t2v[5, 20] = 1.0
    bank[:, 20] = -1.0
    assert torch.equal(querybank_normalisation(t2v, v2t, bank, other)[0][5], t2v[5])


def test_several_captions_of_a_video(hub):
    """20 texts of 10 videos: rows of their own, in both directions, beside the plain ones."""
    t2v, v2t = hub[0][:20, :10], hub[0][:20, :10].t()
    own = torch.arange(20) // 2
    banks = hub[2][:, :10], hub[3][:, :20]
    sample = dict(rankings={'': (t2v, v2t)}, video_of_text=own, banks=banks)
    metric = TextVideoRetrievalMetric(post_processing={'QB-Norm': {}, 'IS': dict(beta=10.0)})
    metric.process(None, [sample])
    values = metric.evaluate(size=1)
    plain = evaluate_ranking(t2v, v2t, own)
    normalised = evaluate_ranking(*querybank_normalisation(t2v, v2t, *banks), own)
    for name, value in plain.items():
        assert values[name] == value
        assert values[f'QB-Norm/{name}'] == normalised[name]
        assert f'IS/{name}' in values


def test_errors(hub):
    t2v, v2t, bank, other = hub
    with pytest.raises(ValueError, match=r"one of \['jpthu17', 'official'\]; got 'best'"):
        querybank_normalisation(*hub, preset='best')
    with pytest.raises(ValueError, match='beta must be positive; got 0'):
        inverted_softmax(*hub, beta=0)
    with pytest.raises(ValueError, match='must be at least 1; got 0'):
        querybank_normalisation(*hub, num_best=0)
    with pytest.raises(ValueError, match=r'at least 1; got 1 and \{.t2v.: 0\}'):
        querybank_normalisation(*hub, min_count=dict(t2v=0))
    with pytest.raises(ValueError, match=r'The v2t bank has the shape \[0, 30\]'):
        querybank_normalisation(t2v, v2t, bank, other[:0])
    with pytest.raises(ValueError, match=r'The t2v bank has the shape \[90, 29\]'):
        inverted_softmax(t2v, v2t, bank[:, :29], other)
    metric = TextVideoRetrievalMetric(post_processing={'QB-Norm': {}})
    with pytest.raises(ValueError, match='QB-Norm needs banks .* test_cfg=dict'):
        metric.process(None, [dict(rankings={'': (t2v, v2t)}, video_of_text=OWN)])
