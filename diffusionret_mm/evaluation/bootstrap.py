"""How sure the difference of two rankings is: bootstrap over groups of queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from diffusionret_mm.evaluation.ranking import grouped_query_ranks, query_ranks

DRAWS = 4000
LEVEL = 0.95
# Bounds the counts that are drawn at a time to some MB; the draws do not depend on it.
_BLOCK_ELEMENTS = 1 << 21

Matrices = tuple[Tensor, Tensor]


def recall_gain(
    before: Matrices,
    after: Matrices,
    video_of_text: Tensor,
    groups: Sequence[str],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, float]:
    """Difference of R@1 between two rankings, and its interval.

    Args:
        before: t2v [N, M] and v2t [M, N].
        after: the same of the other ranking.
        video_of_text: video that each text describes, [N], integer.
        groups: what is drawn together: the group of each of the M videos.
        draws: number of draws.
        seed: seed of the draws; both directions have the same.

    Returns:
        For each direction `R@1`, after minus before, and `low` and `high`, the ends of the interval
        that holds it with 95 %, all in points of R@1.
    """
    _, of_video = np.unique(np.asarray(groups), return_inverse=True)
    of_group = dict(t2v=of_video[video_of_text.cpu().numpy()], v2t=of_video)
    ranks = dict(t2v=query_ranks, v2t=grouped_query_ranks)
    metrics: dict[str, float] = {}
    for place, (direction, rank) in enumerate(ranks.items()):
        hits = [rank(ranking[place], video_of_text).hits(1) for ranking in (before, after)]
        gains = 100 * (hits[1] - hits[0]).cpu().numpy()
        low, high = bootstrap_interval(gains, of_group[direction], draws, seed)
        found = {'R@1': float(gains.mean()), 'low': low, 'high': high}
        metrics |= {f'{direction}/{name}': value for name, value in found.items()}
    return metrics


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean of n values, when whole groups are drawn with replacement.

    Args:
        values: [n], float.
        groups: number of each value's group, from 0, [n], integer.
        draws: number of draws.
        seed: seed of the draws.

    Returns:
        The ends between which the middle 95 % of the means lie.

    Examples:
        >>> bootstrap_interval(np.array([1.0, 1.0, 3.0]), np.array([0, 0, 1]))
        (1.0, 3.0)
    """
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    generator, shares = np.random.default_rng(seed), np.full(len(sums), 1 / len(sums))
    block, means = max(1, _BLOCK_ELEMENTS // len(sums)), []
    for start in range(0, draws, block):
        size = min(block, draws - start)
        counts = generator.multinomial(len(sums), shares, size)
        means.append(counts @ sums / (counts @ sizes))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
