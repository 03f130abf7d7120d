"""Score matrices that are too large to be computed at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SIDE = 32  # texts of a block, at most; the rest of the budget goes to the videos


def score_in_blocks(
    score: Callable[[slice, slice], Tensor], num_texts: int, num_videos: int, max_pairs: int
) -> Tensor:
    """Compute a matrix block by block.

    Args:
        score: computes a block from its rows and columns.
        num_texts: number N of rows.
        num_videos: number M of columns.
        max_pairs: pairs of a block, a bound on memory.

    Returns:
        The matrix, [N, M].
    """
    height = max(1, min(SIDE, max_pairs))
    width = max(1, max_pairs // height)
    rows = [slice(start, start + height) for start in range(0, max(1, num_texts), height)]
    columns = [slice(start, start + width) for start in range(0, max(1, num_videos), width)]
    return torch.cat([torch.cat([score(row, column) for column in columns], 1) for row in rows])
