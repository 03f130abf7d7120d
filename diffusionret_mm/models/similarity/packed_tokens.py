"""Token features without padding, in blocks for which one matrix product serves many pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class TokenBlock:
    """Items of about the same number of real tokens.

    Shorter ones are filled up with copies of their own tokens, which change no maximum and weigh
    nothing, and a block may have copies of its last item, which have no row.

    Args:
        rows: which items these are, shape [n], int64.
        tokens: their real tokens, normalised, shape [b, t, D]; b is n or more.
        weights: weight of each token, shape [b, t]; 0 for copies.
        padded: whether they have padded tokens, too: all of them, or none.
    """

    rows: Tensor
    tokens: Tensor
    weights: Tensor
    padded: bool


def token_blocks(
    tokens: Tensor,
    mask: Tensor,
    weigh: nn.Module,
    weights: Tensor | None = None,
    *,
    like: Tensor,
    block_tokens: int,
    multiple: int = 1,
) -> Iterator[TokenBlock]:
    """Leave the padding out, and put items of about the same length into one block.

    Args:
        tokens: token features, shape [N, T, D], float.
        mask: True for real tokens, shape [N, T], bool.
        weigh: module that gives the logits [..., 1] of the weights of tokens [..., D].
        weights: the weights, if they are known, [N, T]; it is not asked then.
        like: tensor of the device and dtype that the blocks get.
        block_tokens: tokens of a block, about: the largest multiple of items within it.
        multiple: the number of items of a block is a multiple of this.

    Yields:
        The blocks. Items without any real token are in none.
    """
    counts = mask.sum(dim=1)
    real_first = mask.byte().argsort(dim=1, descending=True, stable=True)
    for padded in (False, True):
        rows = ((counts > 0) & ((counts < mask.shape[1]) == padded)).nonzero()[:, 0]
        rows = rows[counts[rows].argsort(descending=True, stable=True)]
        lengths, start = counts[rows].tolist(), 0
        while start < len(rows):
            most = lengths[start]
            chosen = rows[start : start + max(1, block_tokens // most // multiple) * multiple]
            start += len(chosen)
            filled = torch.arange(-(-len(chosen) // multiple) * multiple, device=rows.device)
            items = chosen[filled.clamp(max=len(chosen) - 1), None]
            position, count = torch.arange(most, device=rows.device), counts[items]
            place = real_first[items, position % count]
            packed = tokens[items, place].to(like)
            is_copy = (position >= count).to(like.device)
            if weights is None:
                logits = weigh(packed).squeeze(-1).masked_fill(is_copy, -torch.inf)
                weighed = logits.softmax(dim=-1)
            else:
                weighed = weights[items, place].to(like).masked_fill(is_copy, 0)
            yield TokenBlock(chosen.to(like.device), F.normalize(packed, dim=-1), weighed, padded)
