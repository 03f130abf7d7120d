"""Queries with several right answers: what a ranking of their candidates is worth.

Tied candidates count as one group, so no result depends on their order: a candidate's precision is
that of all candidates with its score or a better one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Bounds the temporaries of one block to some MB.
_BLOCK_ELEMENTS = 1 << 22


def right_answers(answers: Sequence[Sequence[int]], num_candidates: int) -> Tensor:
    """Make a matrix of lists of right answers.

    Args:
        answers: columns of the right candidates of each of N queries, at least one each.
        num_candidates: number M of candidates.

    Returns:
        Which candidates are right, `[N, M]`, bool.

    Raises:
        ValueError: if a query has no right answer, or one outside of the candidates.
    """
    right = torch.zeros(len(answers), num_candidates, dtype=torch.bool)
    for query, columns in enumerate(answers):
        if not columns or not 0 <= min(columns) <= max(columns) < num_candidates:
            raise ValueError(
                f'Query {query} must have right answers among {num_candidates} candidates; got '
                f'{list(columns)}.'
            )
        right[query, list(columns)] = True
    return right


def average_precision(scores: Tensor, right: Tensor) -> Tensor:
    """Average precision of each query.

    The mean, over its right answers, of the share of right ones among the candidates that score at
    least as high.

    Args:
        scores: score of every candidate for every query, `[N, M]`, any real dtype, no NaN.
        right: which candidates are right, `[N, M]`, bool, at least one per query.

    Returns:
        Values above 0, 1 at best, `[N]`, float64.

    Raises:
        ValueError: if the shapes differ, a query has no right answer, or a score is NaN.

    Examples:
        >>> scores = torch.tensor([[0.9, 0.1, 0.5]])
        >>> average_precision(scores, torch.tensor([[True, False, True]]))
        tensor([1.], dtype=torch.float64)
    """
    _check(scores, right)
    query, column = right.nonzero(as_tuple=True)
    precision = torch.empty(len(query), dtype=torch.float64, device=scores.device)
    size = max(1, _BLOCK_ELEMENTS // max(1, scores.shape[1]))
    for start in range(0, len(query), size):
        rows = query[start : start + size]
        found = scores[rows] >= scores[rows, column[start : start + size], None]
        hits = (found & right[rows]).sum(dim=1)
        precision[start : start + size] = hits.double() / found.sum(dim=1)
    total = precision.new_zeros(len(scores)).index_add_(0, query, precision)
    return total / right.sum(dim=1)


def precision_at_1(scores: Tensor, right: Tensor) -> Tensor:
    """Whether the best candidate of each query is right; the share of right ones if several tie.

    Arguments and errors as of `average_precision`.

    Returns:
        Values from 0 to 1, `[N]`, float64.
    """
    _check(scores, right)
    best = scores == scores.amax(dim=1, keepdim=True)
    return (best & right).sum(dim=1).double() / best.sum(dim=1)


def _check(scores: Tensor, right: Tensor) -> None:
    if scores.shape != right.shape or scores.ndim != 2 or not scores.numel():
        raise ValueError(
            'The scores and the right answers must be matrices of one shape; got '
            f'{list(scores.shape)} and {list(right.shape)}.'
        )
    if scores.isnan().any():
        raise ValueError(f'scores{scores.isnan().nonzero()[0].tolist()} is NaN.')
    without = ~right.any(dim=1)
    if without.any():
        raise ValueError(f'Query {int(without.nonzero()[0])} has no right answer.')
