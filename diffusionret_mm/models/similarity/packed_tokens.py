"""Token features without padding, grouped so that one matrix product serves many pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class TokenGroup:
    """The items that have a certain number of real tokens.

    Args:
        rows: which items these are, shape [n], int64.
        tokens: their real tokens, normalised, shape [n, t, D].
        weights: weight of each token, shape [n, t].
        padded: whether they have padded tokens, too.
    """

    rows: Tensor
    tokens: Tensor
    weights: Tensor
    padded: bool

    def split(self, max_items: int) -> Iterator[TokenGroup]:
        """Split into groups of at most so many items."""
        parts = (part.split(max_items) for part in (self.rows, self.tokens, self.weights))
        for rows, tokens, weights in zip(*parts, strict=True):
            yield TokenGroup(rows, tokens, weights, self.padded)


def pack(tokens: Tensor, mask: Tensor, weights: Tensor) -> list[TokenGroup]:
    """Group items by their number of real tokens, and leave the padding out.

    Args:
        tokens: token features, shape [N, T, D], float.
        mask: True for real tokens, shape [N, T], bool.
        weights: weight of each token, shape [N, T].

    Returns:
        The groups. Items without any real token are in none.
    """
    counts = mask.sum(dim=1)
    groups = []
    for count in counts.unique().tolist():
        rows = (counts == count).nonzero()[:, 0]
        if count:
            real = mask[rows]
            packed = tokens[rows][real].view(len(rows), count, -1)
            groups.append(
                TokenGroup(
                    rows=rows,
                    tokens=F.normalize(packed, dim=-1),
                    weights=weights[rows][real].view(len(rows), count),
                    padded=count < mask.shape[1],
                )
            )
    return groups
