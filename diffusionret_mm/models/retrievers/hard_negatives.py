"""Hard negatives of a batch, or of the whole training set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusionret_mm.structures import VideoFeatures


def hardest_first(
    scores: Tensor,
    positive: Tensor,
    same_video: Tensor,
    num_negatives: int,
    rule: str = 'ignored',
) -> Tensor:
    """List the candidates of each row: its positive, then its hardest negatives.

    Args:
        scores: similarities of n queries to C candidates, shape [n, C].
        positive: column of each row's positive, shape [n], int64.
        same_video: whether a candidate belongs to the row's own video, shape [n, C], bool.
        num_negatives: number of negatives, at most.
        rule: 'ignored' makes no candidate of the row's own video a negative. So a batch in which a
            video occurs twice gives every row one negative less. 'negative' takes them last, once
            there is no other candidate left, the positive itself among them (published code).

    Returns:
        Columns of shape [n, 1 + number of negatives], int64, by falling score from column 1 on.

    Raises:
        ValueError: if some row has no negative at all.
    """
    num_others = (~same_video).sum(dim=1).min().item()
    if num_others == 0:
        raise ValueError(
            'A training batch holds captions of one video only, so there are no negatives; '
            'use a larger batch.'
        )
    available = num_others if rule == 'ignored' else scores.shape[1] - 1
    ranked = scores.masked_fill(same_video, float('-inf'))
    negatives = ranked.topk(min(num_negatives, available), dim=1).indices
    return torch.cat([positive[:, None], negatives], dim=1)


@dataclass(frozen=True)
class CachedNegatives:
    """Hard negatives of N training rows from the whole training set, never of the own video.

    Args:
        videos: U distinct videos.
        video_rows: rows of `videos` that are negatives in direction t2v, hardest first, shape
            [N, K], int64.
        texts: end-of-text features of V distinct texts, shape [V, D], float.
        text_rows: rows of `texts` that are negatives in direction v2t, hardest first, shape
            [N, K], int64; its K may be another one.
    """

    videos: VideoFeatures
    video_rows: Tensor
    texts: Tensor
    text_rows: Tensor

    def to(self, device: Any) -> CachedNegatives:
        """Move every field to a device."""
        return type(self)(**{name: value.to(device) for name, value in vars(self).items()})
