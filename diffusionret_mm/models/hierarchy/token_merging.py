"""Fewer tokens that stand for more: one level of HBI's hierarchy."""

from __future__ import annotations

import math

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.hierarchy.clustering import cluster_tokens, merge_tokens


class TokenMerging(BaseModule):
    """Cluster tokens, average each cluster, and let the averages attend to all tokens.

    With a convolution over neighbouring tokens, u = LN(x + conv(x)), and scores s = w . u + b:

        m_c = sum_{i in c} exp(s_i) u_i / sum_{i in c} exp(s_i)      clusters by `cluster_tokens`
        y_c = m_c + Attention(LN(m_c), LN(u), bias s)                Section 3.3 of HBI

    Args:
        width: width D of the tokens.
        rate: clusters per token; their number is rounded up, at least 1.
        num_heads: heads of the attention.

    Raises:
        ValueError: if `rate` is not in (0, 1].
    """

    def __init__(self, width: int, rate: float, num_heads: int = 8) -> None:
        super().__init__()
        if not 0 < rate <= 1:
            raise ValueError(f'rate is the share of tokens that remain, in (0, 1]; got {rate}.')
        self.rate = rate
        self.num_heads = num_heads
        self.conv = nn.Conv1d(width, width, kernel_size=3, padding=1, bias=False)
        self.norm = nn.LayerNorm(width)
        self.score = nn.Linear(width, 1)
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.projection = nn.Linear(width, width)
        for layer in (self.query, self.key_value, self.projection):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Merge the tokens of each item.

        Args:
            tokens: shape [B, T, D], float.
            mask: True for real tokens, shape [B, T], bool.

        Returns:
            Shape [B, C, D], C = rate * T rounded up. All count as real: where an item has fewer
            real tokens than C, the clusters of its padding are what the attention makes of 0.
        """
        tokens = tokens + self.conv(tokens.transpose(1, 2)).transpose(1, 2)
        tokens = self.norm(tokens)
        scores = self.score(tokens).squeeze(-1)
        # Finite, so that an item of padding alone gives numbers; its exponential is 0.
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        num_clusters = max(1, math.ceil(self.rate * tokens.shape[1]))
        clusters = cluster_tokens(tokens, mask, num_clusters)
        merged = merge_tokens(tokens, scores.exp(), clusters, num_clusters)
        return merged + self._attend(merged, tokens, scores)

    def _attend(self, queries: Tensor, tokens: Tensor, scores: Tensor) -> Tensor:
        split = (self.num_heads, tokens.shape[2] // self.num_heads)
        keys, values = self.key_value(self.attention_norm(tokens)).chunk(2, dim=-1)
        q, k, v = (
            x.unflatten(-1, split).transpose(1, 2)
            for x in (self.query(self.attention_norm(queries)), keys, values)
        )
        bias = scores[:, None, None].expand(-1, self.num_heads, queries.shape[1], -1)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.projection(attended.transpose(1, 2).flatten(2))
