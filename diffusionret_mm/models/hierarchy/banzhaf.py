"""The Banzhaf interaction of words and frames: its definition, and a network that estimates it."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

# The interaction of two tokens is a thousandth of a cosine or so; labels are in thousandths.
VALUE_SCALE = 1000.0


@MODELS.register_module()
class BanzhafNetwork(BaseModule):
    """Estimates the interactions of a word-frame map from the map (HBI, Section 3.4).

    A convolution, attention over all cells without a scale, and a convolution back. It has no
    parameter of the map's size, so it takes maps of any.

    Args:
        width: channels of a cell.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.expand = nn.Conv2d(1, width, kernel_size=3, padding=1)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.reduce = nn.Conv2d(width, 1, kernel_size=3, padding=1)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight, gain=1.414)
        # In the checkpoint, so that weights nobody trained are never a teacher.
        self.register_buffer('is_trained', torch.tensor(False))

    def forward(self, maps: Tensor) -> Tensor:
        """Estimate interactions.

        Args:
            maps: similarities of t words and v frames, shape [B, t, v], float.

        Returns:
            Interactions in thousandths of a cosine, shape [B, t, v].
        """
        hidden = self.expand(maps[:, None]).relu()
        cells = hidden.flatten(2).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(
            self.query(cells), self.key(cells), self.value(cells), scale=1.0
        )
        hidden = hidden + attended.transpose(1, 2).unflatten(2, maps.shape[1:])
        return self.reduce(hidden)[:, 0]


@torch.no_grad()
def banzhaf_interaction(
    maps: Tensor,
    word_logits: Tensor,
    frame_logits: Tensor,
    word_coalitions: Tensor,
    frame_coalitions: Tensor,
) -> Tensor:
    """Compute the Banzhaf interaction of each word and frame over given coalitions.

    The players are words and frames, and the value of a coalition is the weighted token interaction
    of its members alone (weights normalised among them, 0 without a word or a frame). For word i
    and frame j, with S the others of a coalition,

        I_ij = mean_S [ v(S + i + j) - v(S + i) - v(S + j) + v(S) ]

    which is exact over all coalitions and an estimate over fair draws (HBI, Equation 3). Unlike the
    published labels, all four terms have the same value function.

    Args:
        maps: cosines of t words and v frames, shape [B, t, v], float.
        word_logits: of the words' weights, before the softmax, shape [B, t], float.
        frame_logits: the same of the frames, shape [B, v].
        word_coalitions: True for members, shape [B, S, t], bool; never for padding.
        frame_coalitions: the same of the frames, shape [B, S, v].

    Returns:
        Interactions in thousandths of a cosine, shape [B, t, v]; those of padding mean nothing.
    """
    words = _half_value(maps, word_logits, word_coalitions, frame_coalitions)
    frames = _half_value(maps.transpose(1, 2), frame_logits, frame_coalitions, word_coalitions)
    value = (words + frames.permute(0, 2, 1, 4, 3)) / 2
    sign = torch.tensor([-1.0, 1.0], dtype=maps.dtype, device=maps.device)
    return VALUE_SCALE * torch.einsum('bijpq,p,q->bij', value, sign, sign)


def _half_value(maps: Tensor, logits: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Mean over the coalitions of sum_r weight_r max_c map_rc, with a row and a column forced.

    Args:
        maps: shape [B, r, c].
        logits: of the weights of the rows, shape [B, r].
        rows: coalitions of the rows, shape [B, S, r], bool.
        columns: the same of the columns, shape [B, S, c].

    Returns:
        Shape [B, r, c, 2, 2]: row i and column j out of, or in, the coalition.
    """
    num_rows, num_columns = maps.shape[1:]
    total, lowest = maps.new_zeros(()), torch.finfo(maps.dtype).min
    forced_rows = _forced(num_rows, rows)  # [B, S, i, 2, r]
    forced_columns = _forced(num_columns, columns)
    for rows_in, columns_in in zip(forced_rows.unbind(1), forced_columns.unbind(1), strict=True):
        weights = logits[:, None, None].masked_fill(~rows_in, lowest).softmax(dim=-1) * rows_in
        cells = maps[:, None, None].masked_fill(~columns_in[..., None, :], lowest)
        best = cells.amax(dim=-1) * columns_in.any(dim=-1, keepdim=True)  # [B, j, 2, r]
        total = total + torch.einsum('bipr,bjqr->bijpq', weights, best)
    return total / rows.shape[1]


def _forced(size: int, members: Tensor) -> Tensor:
    """Coalitions with each player out, then in: [B, S, n] to [B, S, n, 2, n]."""
    own = torch.eye(size, dtype=torch.bool, device=members.device)
    others = members[:, :, None] & ~own
    return torch.stack([others, others | own], dim=3)
