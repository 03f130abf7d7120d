"""Sampling over the candidates of a gallery."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusionret_mm.models.generators import DiffusionGenerator
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Bound on the candidates' frames that are gathered at a time, and about a processor's cache.
GATHER_BYTES = 2**24


class GallerySampler:
    """Denoises distributions over candidates that are chosen from one gallery.

    What depends on the generator alone, and in direction v2t on the candidate texts alone, is
    computed once for all queries.

    Args:
        generator: the generator; its direction says what queries and candidates are.
        candidates: the gallery: videos in direction t2v, texts in v2t. It and the queries may lie
            on another device than the generator and have half precision.
    """

    def __init__(
        self, generator: DiffusionGenerator, candidates: VideoFeatures | TextFeatures
    ) -> None:
        self.generator = generator
        self.candidates = candidates
        self.denoiser = generator.unroll()
        if generator.direction == 'v2t':
            pooled = candidates.pooled.to(generator.denoiser.q_proj.weight)
            self.projected = self.denoiser.project(pooled, for_many_queries=True)

    @torch.no_grad()
    def sample(
        self,
        queries: TextFeatures | VideoFeatures,
        chosen: Tensor,
        noise: Tensor,
        return_trajectory: bool = False,
    ) -> Tensor:
        """Denoise the distributions of n queries.

        Args:
            queries: the n queries.
            chosen: rows of the K candidates of each query, shape [n, K], int64.
            noise: start noise x_T of some draws, shape [draws, n, K].
            return_trajectory: whether to return the states between, too.

        Returns:
            x_0 in [-1, 1], shape [draws, n, K]; with `return_trajectory` all states
            [draws, steps, n, K], x_0 last.
        """
        queries = queries.to(noise)
        pooled = torch.cat([self._pool(queries, chosen, rows) for rows in self._chunks(chosen)])
        if self.generator.direction == 't2v':
            projected = self.denoiser.project(pooled)
            rows = self.denoiser.start(queries.pooled[:, None], projected)
        else:
            rows = self.denoiser.start(pooled, self.projected[chosen])
        return torch.stack(
            [self.generator.run(self.denoiser, rows, draw, return_trajectory) for draw in noise]
        )

    def _pool(self, queries: TextFeatures | VideoFeatures, chosen: Tensor, rows: Tensor) -> Tensor:
        """Pool the videos of some pairs: candidates' frames, or those of the queries."""
        candidates = self.candidates
        chosen = chosen[rows].to(candidates.mask.device)
        if self.generator.direction == 't2v':
            frames = candidates.frames[chosen].to(queries.pooled)
            mask = candidates.mask[chosen].to(frames.device)
            return self.generator.pool(queries.pooled[rows], frames, mask)
        texts = candidates.pooled[chosen].to(queries.frames)
        return self.generator.pool(texts, queries.frames[rows], queries.mask[rows])

    def _chunks(self, chosen: Tensor) -> tuple[Tensor, ...]:
        row_bytes = chosen.shape[1] * self._bytes_of_candidate()
        rows = torch.arange(len(chosen), device=chosen.device)
        return rows.split(max(1, GATHER_BYTES // row_bytes))

    def _bytes_of_candidate(self) -> int:
        tensor = self.candidates.tensors()[
            'frames' if self.generator.direction == 't2v' else 'pooled'
        ]
        return tensor[0].numel() * tensor.element_size()
