"""Draws over candidates that many queries share, from pairs of words and frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from diffusionret_mm.models.generators.token_pairs import PairVectors, TokenPairEncoder, Tokens
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Bound on what is projected of all candidates; beyond it those of each query are.
PROJECTED_BYTES = 2**28
# Bound on the attention of the pairs that are encoded at a time.
PAIR_BYTES = 2**24

Draw = Callable[[PairVectors, Tensor, bool], Tensor]


class PairSampler:
    """A `CandidateSampler` for models that read pair vectors.

    Args:
        direction: 't2v' or 'v2t'.
        encoder: encodes pairs.
        draw: makes x_0 [draws, n, K] of pairs, start noise [draws, n, K] and whether the states
            between are wanted.
        candidates: all of them: videos in direction t2v, texts in v2t.
    """

    @torch.no_grad()
    def __init__(
        self,
        direction: str,
        encoder: TokenPairEncoder,
        draw: Draw,
        candidates: VideoFeatures | TextFeatures,
    ) -> None:
        self.direction = direction
        self.encoder = encoder
        self.draw = draw
        self.candidates = candidates
        projects = encoder.project_texts, encoder.project_videos
        self.project_query: Callable[[Any], Any]
        self.project: Callable[[Any], Any]
        self.project_query, self.project = projects if direction == 't2v' else projects[::-1]
        size = 4 * candidates.mask.numel() * encoder.word_proj.out_features
        self.projected = self.project(candidates) if size <= PROJECTED_BYTES else None

    @torch.no_grad()
    def sample(
        self,
        queries: TextFeatures | VideoFeatures,
        chosen: Tensor,
        scores: Tensor,
        noise: Tensor,
        return_trajectory: bool = False,
    ) -> Tensor:
        """Draw x_0; see `CandidateSampler.sample`."""
        tokens = self.project_query(queries)
        drawn = []
        for rows in self._chunks(chosen, tokens):
            sides = tokens[rows[:, None]], self._candidates(chosen[rows])
            texts, videos = sides if self.direction == 't2v' else sides[::-1]
            context = PairVectors(self.encoder(texts, videos), scores[rows])
            drawn.append(self.draw(context, noise[:, rows], return_trajectory))
        return torch.cat(drawn, dim=-2)

    def _candidates(self, chosen: Tensor) -> Tokens:
        """Tokens of the candidates of some queries, [n, K]."""
        if self.projected is not None:
            return self.projected[chosen]
        distinct, rows = chosen.to(self.candidates.mask.device).unique(return_inverse=True)
        return self.project(self.candidates[distinct])[rows.to(chosen.device)]

    def _chunks(self, chosen: Tensor, queries: Tokens) -> tuple[Tensor, ...]:
        """Rows of queries whose pairs are encoded at a time."""
        words_by_frames = queries.mask.shape[1] * self.candidates.mask.shape[1]
        hidden = max(words_by_frames, queries.mask.shape[1]) * self.encoder.num_heads
        row_bytes = 4 * chosen.shape[1] * max(hidden, self.encoder.word_proj.out_features)
        rows = torch.arange(len(chosen), device=chosen.device)
        return rows.split(max(1, PAIR_BYTES // row_bytes))
