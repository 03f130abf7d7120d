"""Ranks and retrieval metrics of score matrices.

Every query gets one rank: 1 + the number of strictly better candidates + half of the other
candidates with the same score. This is the expected rank when ties are broken at random, so a
constant matrix scores like chance. The code published with DiffusionRet (``utils/metrics.py``)
lists every tied position as a rank of its own and divides by the length of that list, so queries
with ties weigh more. Without ties the two agree.

N is the number of texts and M the number of videos throughout. A higher score is better.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

# Bounds the boolean temporaries of one block to a few MB, whatever the size of the matrix.
_BLOCK_ELEMENTS = 1 << 22


def query_ranks(scores: Tensor, target: Tensor) -> Tensor:
    """Rank of the one right candidate of every query.

    Args:
        scores: Score of every candidate for every query, ``[N, M]``, any real dtype, infinities
            allowed.
        target: Column of the right candidate of each query, ``[N]``, integer.

    Returns:
        Ranks ``[N]``, float64, from 1 (best) to M; halves occur where scores are tied.

    Raises:
        ValueError: If the shapes do not fit, ``target`` is not integer or points outside the
            candidates, or a score is NaN.

    Examples:
        >>> scores = torch.tensor([[0.9, 0.1, 0.5], [0.3, 0.3, 0.2]])
        >>> query_ranks(scores, torch.tensor([2, 0]))
        tensor([2.0000, 1.5000], dtype=torch.float64)
    """
    _check_matrix(scores)
    target = _checked_target(target, len(scores), scores.shape[1])
    target = target.to(scores.device)
    ranks = torch.empty(len(scores), dtype=torch.float64, device=scores.device)
    for rows in _row_blocks(scores):
        ranks[rows] = _ranks_of_block(scores[rows], target[rows])
    return ranks


def grouped_query_ranks(scores: Tensor, video_of_text: Tensor) -> Tensor:
    """Video-to-text rank of every video, whose captions compete as one group.

    A group scores as its best caption does, and the query video's own group is ranked among the
    M groups. This is the protocol of the published multi-sentence evaluation (CLIP4Clip's
    ``tensor_video_to_text_sim``), with every caption in the group of its own video; the published
    MSVD script puts the last caption of each group into the next one. With one caption a video it
    is plain video-to-text retrieval.

    Args:
        scores: Score of every text for every video, ``[M, N]``, any real dtype.
        video_of_text: Row in ``scores`` of the video that each text describes, ``[N]``, integer,
            in any order.

    Returns:
        Ranks ``[M]``, float64, from 1 (best) to M.

    Raises:
        ValueError: If the shapes do not fit, ``video_of_text`` is not integer or points outside
            the videos, a video has no caption, or a score is NaN.

    Examples:
        >>> scores = torch.tensor([[0.1, 0.9, 0.5], [0.2, 0.8, 0.3]])
        >>> grouped_query_ranks(scores, torch.tensor([0, 0, 1]))
        tensor([1., 2.], dtype=torch.float64)
    """
    _check_matrix(scores)
    group = _checked_target(video_of_text, scores.shape[1], len(scores)).to(scores.device)
    _check_every_video_has_text(group, len(scores))
    own_group = torch.arange(len(scores), device=scores.device)
    ranks = torch.empty(len(scores), dtype=torch.float64, device=scores.device)
    for rows in _row_blocks(scores):
        ranks[rows] = _ranks_of_block(
            _best_of_group(scores[rows], group, len(scores)), own_group[rows]
        )
    return ranks


def retrieval_metrics(ranks: Tensor, topk: Sequence[int] = (1, 5, 10, 50)) -> dict[str, float]:
    """Summary of the ranks of all queries.

    Args:
        ranks: Rank of each query, ``[N]``, 1 is best.
        topk: Cut-offs k of ``R@k``.

    Returns:
        In this order: ``R@k`` for each k (percent of the queries with rank <= k), ``Rsum``
        (R@1 + R@5 + R@10 in percent, 300 at best, whatever ``topk`` is), ``MdR`` (median rank, the
        mean of the two middle ranks for an even number of queries) and ``MnR`` (mean rank).

    Raises:
        ValueError: If there are no ranks, or a cut-off is below 1.

    Examples:
        >>> retrieval_metrics(torch.tensor([1.0, 3.0, 2.0, 40.0]), topk=(1, 5))
        {'R@1': 25.0, 'R@5': 75.0, 'Rsum': 175.0, 'MdR': 2.5, 'MnR': 11.5}
    """
    if ranks.ndim != 1 or not len(ranks):
        raise ValueError(f'ranks must be a non-empty vector, got shape {list(ranks.shape)}')
    if any(k < 1 for k in topk):
        raise ValueError(f'cut-offs of R@k start at 1, got topk={tuple(topk)}')
    ranks = ranks.double()
    metrics = {f'R@{k}': _recall(ranks, k) for k in topk}
    metrics['Rsum'] = sum(_recall(ranks, k) for k in (1, 5, 10))
    metrics['MdR'] = ranks.quantile(0.5).item()
    metrics['MnR'] = ranks.mean().item()
    return metrics


def evaluate_ranking(
    t2v: Tensor, v2t: Tensor, video_of_text: Tensor, topk: Sequence[int] = (1, 5, 10, 50)
) -> dict[str, float]:
    """Metrics of both directions of retrieval.

    The directions have matrices of their own, because re-ranking makes them differ.

    Args:
        t2v: Score of every video for every text, ``[N, M]``.
        v2t: Score of every text for every video, ``[M, N]``.
        video_of_text: Video that each text describes, ``[N]``, integer.
        topk: Cut-offs k of ``R@k``.

    Returns:
        The values of :func:`retrieval_metrics` under ``t2v/R@1`` to ``v2t/MnR``.

    Raises:
        ValueError: If the two matrices do not fit together, and for the reasons given at
            :func:`query_ranks`, :func:`grouped_query_ranks` and :func:`retrieval_metrics`.

    Examples:
        >>> t2v = torch.eye(3)
        >>> metrics = evaluate_ranking(t2v, t2v.T, torch.arange(3), topk=(1,))
        >>> metrics['t2v/R@1'], metrics['v2t/MnR']
        (100.0, 1.0)
    """
    if t2v.shape != v2t.shape[::-1]:
        raise ValueError(
            f't2v [N, M] and v2t [M, N] do not fit: {list(t2v.shape)} and {list(v2t.shape)}'
        )
    ranks = {
        't2v': query_ranks(t2v, video_of_text),
        'v2t': grouped_query_ranks(v2t, video_of_text),
    }
    return {
        f'{direction}/{name}': value
        for direction, direction_ranks in ranks.items()
        for name, value in retrieval_metrics(direction_ranks, topk).items()
    }


def _recall(ranks: Tensor, k: int) -> float:
    """Percentage of the ranks that are at most k."""
    return 100 * (ranks <= k).double().mean().item()


def _ranks_of_block(scores: Tensor, target: Tensor) -> Tensor:
    """Ranks of a few queries, NaN-free ``[n, M]`` scores and ``[n]`` targets."""
    own = scores.gather(1, target[:, None])
    better = (scores > own).sum(dim=1)
    other_ties = (scores == own).sum(dim=1) - 1
    return 1 + better.double() + other_ties.double() / 2


def _best_of_group(scores: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Largest of the scores ``[m, N]`` within each group of columns, ``[m, num_groups]``."""
    # The start value never shows: include_self is off and no group is empty.
    best = scores.new_zeros(len(scores), num_groups)
    return best.scatter_reduce_(1, group.expand_as(scores), scores, 'amax', include_self=False)


def _row_blocks(scores: Tensor) -> Iterator[slice]:
    """Slices over the rows of a matrix, each block of bounded size and checked for NaN."""
    num_rows = max(1, _BLOCK_ELEMENTS // max(1, scores.shape[1]))
    for start in range(0, len(scores), num_rows):
        rows = slice(start, start + num_rows)
        _check_no_nan(scores[rows], start)
        yield rows


def _check_no_nan(block: Tensor, first_row: int) -> None:
    """Name the first NaN, because comparisons with NaN would silently give good ranks."""
    if block.isnan().any():
        row, column = block.isnan().nonzero()[0].tolist()
        raise ValueError(f'scores[{first_row + row}, {column}] is NaN')


def _check_matrix(scores: Tensor) -> None:
    if scores.ndim != 2:
        raise ValueError(f'scores must be a matrix, got shape {list(scores.shape)}')


def _checked_target(target: Tensor, length: int, num_candidates: int) -> Tensor:
    """The vector of right answers as int64, after checks of its shape, dtype and range."""
    if target.shape != (length,):
        raise ValueError(f'ground truth must have shape [{length}], got {list(target.shape)}')
    if target.is_floating_point():
        raise ValueError(f'ground truth must be integer, got {target.dtype}')
    outside = (target < 0) | (target >= num_candidates)
    if outside.any():
        first = int(outside.nonzero()[0])
        raise ValueError(
            f'ground truth [{first}] is {int(target[first])}, outside 0 to {num_candidates - 1}'
        )
    return target.long()


def _check_every_video_has_text(video_of_text: Tensor, num_videos: int) -> None:
    captions = video_of_text.bincount(minlength=num_videos)
    if (captions == 0).any():
        raise ValueError(f'video row {int((captions == 0).nonzero()[0])} has no caption')
