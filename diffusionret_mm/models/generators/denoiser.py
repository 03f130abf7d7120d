"""The network that denoises a distribution over the candidates of a query."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class QueryCandidates:
    """Queries, and the candidates of each.

    Args:
        query: one query for all candidates [n, 1, D], or as each candidate sees it [n, K, D].
        candidates: shape [n, K, D].

    Raises:
        ValueError: if the shapes do not belong together.
    """

    query: Tensor
    candidates: Tensor

    def __post_init__(self) -> None:
        """Check the shapes."""
        n, num_candidates, width = self.candidates.shape
        if self.query.shape not in ((n, 1, width), (n, num_candidates, width)):
            raise ValueError(
                f'query {list(self.query.shape)} and candidates {list(self.candidates.shape)} must '
                'be [n, 1 or K, D] and [n, K, D].'
            )

    @property
    def like(self) -> Tensor:
        """See `CandidateContext`."""
        return self.candidates[..., 0]


@MODELS.register_module()
class QueryCandidateDenoiser(BaseModule):
    """Predicts the clean distribution over K candidates from a noisy one.

    With query q, candidates c_j, time embedding e(t) and noisy scores x_j (DiffusionRet,
    Section 3.2; constants as in the published code):

        a_j = softmax_j( Wq (q + e) . Wk (c_j + e) + x_j )
        o   = Wp sum_j a_j Wv (c_j + e) + b_p
        p_j = W2 ReLU( W1 [o ; c_j] + b1 ) + b2 + a_j

    A sampling run repeats this for the same queries and candidates at every step;
    `UnrolledDenoiser` computes what no step changes once.

    Args:
        width: width D of query and candidates; even.

    Raises:
        ValueError: if `width` is odd.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f'The time embedding needs an even width; got {width}.')
        self.width = width
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.out_proj = nn.Linear(width, width)
        self.time_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.decoder = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1)
        )
        self.apply(_init_linear)

    def embed_time(self, t: Tensor) -> Tensor:
        """Embed diffusion steps.

        Args:
            t: integer steps, 0 to T - 1, shape [n].

        Returns:
            Embeddings e(t), shape [n, D].
        """
        return self.time_embed(sine_table(t, self.width).to(self.q_proj.weight.dtype))

    def forward(self, x: Tensor, t: Tensor, context: QueryCandidates) -> Tensor:
        """Predict x_0.

        Args:
            x: noisy distribution over the candidates, shape [n, K], float.
            t: step of each row, shape [n], or one step for all rows, shape [1]; int64.
            context: the queries and candidates of these rows.

        Returns:
            The prediction, shape [n, K], not clipped.
        """
        time, candidates = self.embed_time(t)[:, None], context.candidates
        queries = self.q_proj(context.query + time)
        timed = candidates + time
        attention = ((queries * self.k_proj(timed)).sum(dim=-1) + x).softmax(dim=-1)
        # The weights sum to 1, so the values need no projection of their own: their mean does.
        mean = torch.einsum('nk,nkd->nd', attention, timed)
        first, last = self.decoder[0], self.decoder[2]
        shared = F.linear(self.out_proj(self.v_proj(mean)), first.weight[:, : self.width])
        of_candidates = F.linear(candidates, first.weight[:, self.width :], first.bias)
        return last(F.relu(of_candidates + shared[:, None])).squeeze(-1) + attention


def sine_table(t: Tensor, width: int) -> Tensor:
    """Sines and cosines of steps, alternating (Vaswani et al. 2017, Section 3.5).

    Args:
        t: integer steps, shape [n].
        width: width D, even.

    Returns:
        Shape [n, D], float32.
    """
    rates = torch.arange(0, width, 2, device=t.device, dtype=torch.float32)
    angles = t[:, None].float() * torch.exp(rates * (-math.log(10000.0) / width))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
