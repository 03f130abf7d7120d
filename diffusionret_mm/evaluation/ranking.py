"""Ranks of the right candidates in score matrices.

A query with b better candidates and e others of the same score has a rank from b + 1 to b + 1 + e.
By default ties count as if they were broken at random: R@k is the expected share, and the rank is
the middle of that range. So a constant matrix scores exactly like chance. The code published
with DiffusionRet (`utils/metrics.py`) lists every tied position as a rank of its own and divides by
the length of that list. There queries with ties weigh more; `ties='published'` does that. Without
ties all rules agree.

N is the number of texts and M the number of videos throughout. A higher score is better.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TIE_RULES = ('average', 'optimistic', 'pessimistic', 'published')

# Bounds the boolean temporaries of one block to a few MB, whatever the size of the matrix.
_BLOCK_ELEMENTS = 1 << 22


@dataclass(frozen=True)
class Ranks:
    """The ranks of N queries, 1 is best.

    Args:
        best: rank of each query if it wins its ties, `[N]`, int64.
        worst: rank of each query if it loses them, `[N]`, int64.
    """

    best: Tensor
    worst: Tensor

    @property
    def average(self) -> Tensor:
        """Middle of each range, `[N]`, float64; halves occur where scores are tied."""
        return (self.best + self.worst).double() / 2

    def hits(self, k: int) -> Tensor:
        """Share of each range of ranks that is <= k, `[N]`, float64; 0 or 1 without ties."""
        ties = (self.worst - self.best + 1).double()
        return ((k + 1 - self.best) / ties).clamp(0, 1)

    def recall(self, k: int) -> float:
        """Expected percentage of the queries with rank <= k."""
        return 100 * self.hits(k).mean().item()

    def resolve(self, ties: str) -> 'Ranks':
        """Apply a tie rule.

        Args:
            ties: `'average'` leaves the ranges; `'optimistic'` and `'pessimistic'` take one
                end; `'published'` makes an entry of every position of a range.

        Returns:
            Ranks, with `'published'` as many as there are positions.

        Raises:
            ValueError: if there is no such rule.
        """
        if ties not in TIE_RULES:
            raise ValueError(f'ties must be one of {TIE_RULES}; got {ties!r}.')
        if ties == 'average':
            return self
        if ties == 'published':
            counts = self.worst - self.best + 1
            first = counts.cumsum(0) - counts
            entries = torch.arange(int(counts.sum()), device=counts.device)
            listed = entries + (self.best - first).repeat_interleave(counts)
            return Ranks(listed, listed)
        end = self.best if ties == 'optimistic' else self.worst
        return Ranks(end, end)


def query_ranks(scores: Tensor, target: Tensor) -> Ranks:
    """Rank of the one right candidate per query.

    Args:
        scores: score of every candidate for every query, `[N, M]`, any real dtype, infinities
            allowed.
        target: column of the right candidate of each query, `[N]`, integer.

    Returns:
        N ranks from 1 (best) to M.

    Raises:
        ValueError: if the shapes do not fit, `target` is not integer or points outside the
            candidates, or a score is NaN.

    Examples:
        >>> scores = torch.tensor([[0.9, 0.1, 0.5], [0.3, 0.3, 0.2]])
        >>> query_ranks(scores, torch.tensor([2, 0])).average
        tensor([2.0000, 1.5000], dtype=torch.float64)
    """
    _check_matrix(scores)
    target = _checked_target(target, len(scores), scores.shape[1])
    target = target.to(scores.device)
    blocks = [_ranks_of_block(scores[rows], target[rows]) for rows in _row_blocks(scores)]
    return _join(blocks, scores.device)


def grouped_query_ranks(scores: Tensor, video_of_text: Tensor) -> Ranks:
    """Video-to-text rank per video, whose captions compete as one group.

    A group scores as its best caption does, and the query video's own group is ranked among the
    M groups. This is the protocol of the published multi-sentence evaluation (CLIP4Clip's
    `tensor_video_to_text_sim`), with every caption in the group of its own video. With one
    caption per video it is plain video-to-text retrieval.

    Args:
        scores: score of every text for every video, `[M, N]`, any real dtype.
        video_of_text: row in `scores` of the video that each text describes, `[N]`, integer,
            in any order.

    Returns:
        M ranks from 1 (best) to M.

    Raises:
        ValueError: if the shapes do not fit, `video_of_text` is not integer or points outside
            the videos, a video has no caption, or a score is NaN.

    Examples:
        >>> scores = torch.tensor([[0.1, 0.9, 0.5], [0.2, 0.8, 0.3]])
        >>> grouped_query_ranks(scores, torch.tensor([0, 0, 1])).average
        tensor([1., 2.], dtype=torch.float64)
    """
    _check_matrix(scores)
    group = _checked_target(video_of_text, scores.shape[1], len(scores)).to(scores.device)
    _check_every_video_has_text(group, len(scores))
    own_group = torch.arange(len(scores), device=scores.device)
    blocks = [
        _ranks_of_block(_best_of_group(scores[rows], group, len(scores)), own_group[rows])
        for rows in _row_blocks(scores)
    ]
    return _join(blocks, scores.device)


def _ranks_of_block(scores: Tensor, target: Tensor) -> Ranks:
    """Ranks of a few queries, NaN-free `[n, M]` scores and `[n]` targets."""
    own = scores.gather(1, target[:, None])
    better = (scores > own).sum(dim=1)
    return Ranks(best=better + 1, worst=better + (scores == own).sum(dim=1))


def _join(blocks: Sequence[Ranks], device: torch.device) -> Ranks:
    empty = torch.empty(0, dtype=torch.int64, device=device)
    return Ranks(
        best=torch.cat([empty, *(block.best for block in blocks)]),
        worst=torch.cat([empty, *(block.worst for block in blocks)]),
    )


def _best_of_group(scores: Tensor, group: Tensor, num_groups: int) -> Tensor:
    """Largest of the scores `[m, N]` within each group of columns, `[m, num_groups]`."""
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
        raise ValueError(f'scores[{first_row + row}, {column}] is NaN.')


def _check_matrix(scores: Tensor) -> None:
    if scores.ndim != 2:
        raise ValueError(f'The scores must be a matrix; got the shape {list(scores.shape)}.')


def _checked_target(target: Tensor, length: int, num_candidates: int) -> Tensor:
    """The vector of right answers as int64, after checks of its shape, dtype and range."""
    if target.shape != (length,):
        raise ValueError(
            f'The ground truth must have the shape [{length}]; got {list(target.shape)}.'
        )
    if target.is_floating_point():
        raise ValueError(f'The ground truth must be integers; got {target.dtype}.')
    outside = (target < 0) | (target >= num_candidates)
    if outside.any():
        first = int(outside.nonzero()[0])
        raise ValueError(
            f'The ground truth [{first}] is {int(target[first])}, which is outside of 0 to '
            f'{num_candidates - 1}.'
        )
    return target.long()


def _check_every_video_has_text(video_of_text: Tensor, num_videos: int) -> None:
    captions = video_of_text.bincount(minlength=num_videos)
    if (captions == 0).any():
        raise ValueError(f'Row {int((captions == 0).nonzero()[0])} of the videos has no caption.')
