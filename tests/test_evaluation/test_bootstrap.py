"""Intervals of the difference of two rankings."""

import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import TextVideoRetrievalMetric, bootstrap
from diffusionret_mm.evaluation.bootstrap import bootstrap_interval, recall_gain
from diffusionret_mm.evaluation.ranking import grouped_query_ranks, query_ranks


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    return rng.standard_normal(300), rng.integers(0, 40, 300)


def by_a_loop(values, groups, draws, seed):
    """The same draws, one after the other."""
    rng, count = np.random.default_rng(seed), groups.max() + 1
    members = [values[groups == group] for group in range(count)]
    means = []
    for _ in range(draws):
        drawn = rng.multinomial(count, np.full(count, 1 / count))
        repeated = [np.tile(own, times) for own, times in zip(members, drawn, strict=True)]
        means.append(np.concatenate(repeated).mean())
    return np.quantile(means, [0.025, 0.975])


def test_whole_groups_are_drawn(values):
    assert bootstrap_interval(*values, 200, 3) == pytest.approx(by_a_loop(*values, 200, 3))


def test_the_draws_depend_on_the_seed_alone(values, monkeypatch):
    expected = bootstrap_interval(*values, 500, 1)
    assert bootstrap_interval(*values, 500, 2) != expected
    monkeypatch.setattr(bootstrap, '_BLOCK_ELEMENTS', 40 * 7)
    assert bootstrap_interval(*values, 500, 1) == pytest.approx(expected, rel=1e-12)


def test_an_interval_is_about_two_standard_errors_wide():
    values = np.random.default_rng(0).standard_normal(400)
    low, high = bootstrap_interval(values, np.arange(400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)
    # Values that come four at a time say less.
    low, high = bootstrap_interval(np.repeat(values[:100], 4), np.repeat(np.arange(100), 4))
    assert high - low == pytest.approx(2 * 1.96 / 10, rel=0.2)


@pytest.fixture
def sample():
    """A final ranking that is better than the one before, of 12 videos with two texts each."""
    torch.manual_seed(0)
    video_of_text = torch.arange(24) // 2
    before = torch.randn(24, 12)
    after = before + 2.0 * (video_of_text[:, None] == torch.arange(12))
    rankings = {'discrimination': (before, before.t()), '': (after, after.t())}
    groups = [f'g{video // 3}' for video in range(12)]
    return dict(rankings=rankings, video_of_text=video_of_text, groups=groups)


def test_the_gain_is_the_difference_of_both_rankings(sample):
    metric = TextVideoRetrievalMetric(bootstrap=300)
    metric.process(None, [sample])
    found = metric.evaluate(size=1)
    for direction in ('t2v', 'v2t'):
        gain = found[f'{direction}/R@1'] - found[f'discrimination/{direction}/R@1']
        assert found[f'gain/{direction}/R@1'] == pytest.approx(gain)
        assert found[f'gain/{direction}/low'] <= gain <= found[f'gain/{direction}/high']
    before, after = sample['rankings'].values()
    hits = [query_ranks(each[0], sample['video_of_text']).hits(1) for each in (before, after)]
    groups = np.arange(24) // 6
    expected = bootstrap_interval(100 * (hits[1] - hits[0]).numpy(), groups, 300)
    assert (found['gain/t2v/low'], found['gain/t2v/high']) == pytest.approx(expected)
    hits = [
        grouped_query_ranks(each[1], sample['video_of_text']).hits(1) for each in (before, after)
    ]
    expected = bootstrap_interval(100 * (hits[1] - hits[0]).numpy(), np.arange(12) // 3, 300)
    assert (found['gain/v2t/low'], found['gain/v2t/high']) == pytest.approx(expected)


def test_equal_rankings_gain_nothing(sample):
    final = sample['rankings']['']
    own = sample['video_of_text'], sample['groups']
    assert set(recall_gain(final, final, *own, draws=50).values()) == {0.0}


@pytest.mark.parametrize('options', [dict(ties='published'), dict(grouping='published')])
def test_published_ranks_are_refused(options):
    with pytest.raises(ValueError, match='draws queries with one rank each'):
        TextVideoRetrievalMetric(bootstrap=10, **options)
