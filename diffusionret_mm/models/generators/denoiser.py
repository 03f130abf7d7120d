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
class DenoiserContext:
    """All that denoising needs of a query and its candidates and that no step changes.

    Args:
        queries: projected query, one for all candidates or one for each, [n, 1 or K, D].
        keys: projected candidates, [n, K, D].
        values: projected candidates, [n, K, D].
        logits: dot products of `queries` and `keys`, [n, K].
        hidden: the candidates' half of the decoder's first layer, bias included, [n, K, 2D].
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    logits: Tensor
    hidden: Tensor


@MODELS.register_module()
class QueryCandidateDenoiser(BaseModule):
    """Predicts the clean distribution over K candidates from a noisy one.

    With query q, candidates c_j, time embedding e(t) and noisy scores x_j (DiffusionRet,
    Section 3.2; constants as in the published code):

        a_j = softmax_j( Wq (q + e) . Wk (c_j + e) + x_j )
        o   = Wp sum_j a_j Wv (c_j + e) + b_p
        p_j = W2 ReLU( W1 [o ; c_j] + b1 ) + b2 + a_j

    Every product with a projection is affine in e(t), so `prepare` computes what belongs to query
    and candidates once; `forward` then adds vectors: O(n K D) a step, not O(n K D^2). This is
    exact to rounding.

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

    def prepare(self, query: Tensor, candidates: Tensor) -> DenoiserContext:
        """Compute once what no step changes.

        Args:
            query: one query for all candidates [n, 1, D], or as each candidate sees it [n, K, D].
            candidates: candidates, shape [n, K, D].

        Returns:
            The context that `forward` takes.

        Raises:
            ValueError: if the shapes do not belong together.
        """
        n, num_candidates, width = candidates.shape
        if query.shape not in ((n, 1, width), (n, num_candidates, width)) or width != self.width:
            raise ValueError(
                f'query {list(query.shape)} and candidates {list(candidates.shape)} must be '
                f'[n, 1 or K, {self.width}] and [n, K, {self.width}].'
            )
        queries, keys = self.q_proj(query), self.k_proj(candidates)
        first = self.decoder[0]
        return DenoiserContext(
            queries=queries,
            keys=keys,
            values=self.v_proj(candidates),
            logits=(queries * keys).sum(dim=-1),
            hidden=F.linear(candidates, first.weight[:, width:], first.bias),
        )

    def forward(self, x: Tensor, t: Tensor, context: DenoiserContext) -> Tensor:
        """Predict x_0.

        Args:
            x: noisy distribution over the candidates, shape [n, K], float.
            t: step of each row, shape [n], or one step for all rows, shape [1]; int64.
            context: what `prepare` returned for these rows.

        Returns:
            The prediction, shape [n, K], not clipped.
        """
        time = self.embed_time(t)
        q_time, k_time, v_time = self.q_proj(time), self.k_proj(time), self.v_proj(time)
        # (q + q_time) . (k + k_time), with q . k computed before.
        logits = context.logits + _dot(context.keys, q_time) + _dot(context.queries, k_time)
        logits = logits + (q_time * k_time).sum(dim=-1, keepdim=True)
        attention = (logits + x).softmax(dim=-1)
        pooled = torch.einsum('nk,nkd->nd', attention, context.values) + v_time
        first, last = self.decoder[0], self.decoder[2]
        shared = F.linear(self.out_proj(pooled), first.weight[:, : self.width])
        hidden = F.relu(context.hidden + shared[:, None])
        return last(hidden).squeeze(-1) + attention


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


def _dot(tokens: Tensor, vector: Tensor) -> Tensor:
    """Dot products of tokens [n, K, D] with a vector a row, [n, D] or [1, D]: [n, K]."""
    if len(vector) == 1:
        return tokens @ vector[0]
    return torch.einsum('nkd,nd->nk', tokens, vector)


def _init_linear(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
