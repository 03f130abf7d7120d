"""Token features without padding, grouped so that one matrix product serves many pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

# Tokens whose weights are computed at a time: what the hidden layer of the network takes, 16 MB.
CHUNK = 4096


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


def pack(
    tokens: Tensor, mask: Tensor, weigh: nn.Module, weights: Tensor | None = None
) -> list[TokenGroup]:
    """Group items by their number of real tokens, and leave the padding out.

    Args:
        tokens: token features, shape [N, T, D], float.
        mask: True for real tokens, shape [N, T], bool.
        weigh: network that gives the logits [..., 1] of the weights of tokens [..., D].
        weights: the weights, if they are known, [N, T]; the network is not asked then.

    Returns:
        The groups, of the device and dtype of the network. Items without any real token are in
        none.
    """
    parameter = next(weigh.parameters())
    counts = mask.sum(dim=1)
    groups = []
    for count in counts.unique().tolist():
        rows = (counts == count).nonzero()[:, 0]
        if count:
            packed = parameter.new_empty(len(rows), count, tokens.shape[2])
            weighed = parameter.new_empty(len(rows), count)
            step = -(-CHUNK // count)
            for start in range(0, len(rows), step):
                part = rows[start : start + step]
                real = tokens[part][mask[part]].view(len(part), count, -1).to(parameter)
                if weights is None:
                    known = weigh(real).squeeze(-1).softmax(dim=-1)
                else:
                    known = weights[part][mask[part]].view(len(part), count)
                weighed[start : start + step] = known
                packed[start : start + step] = F.normalize(real, dim=-1)
            rows = rows.to(parameter.device)
            groups.append(TokenGroup(rows, packed, weighed, padded=count < mask.shape[1]))
    return groups
