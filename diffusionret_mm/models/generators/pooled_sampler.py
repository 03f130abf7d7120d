"""Sampling over candidates that many queries share, from pooled vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionret_mm.models.generators.unrolled import SamplingRows
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from diffusionret_mm.models.generators.diffusion_generator import DiffusionGenerator

# Bound on the candidates' frames that are gathered at a time, and about a processor's cache.
GATHER_BYTES = 2**24
# Bound on the projections of all frames of the candidates.
PROJECTED_BYTES = 2**28


class PooledSampler:
    """A `CandidateSampler` for `DiffusionGenerator`, from pooled videos and end-of-text features.

    What depends on the generator alone, and in direction v2t on the candidate texts alone, is
    computed once for all queries.

    Args:
        generator: the generator; its direction says what queries and candidates are.
        candidates: all of them: videos in direction t2v, texts in v2t. They and the queries may lie
            on another device than the generator and have half precision.
        num_pairs: number of (query, candidate) pairs to come. If it is more than the frames of the
            candidates, these are projected once and the projections are pooled; otherwise the
            pooled videos are projected. The results are equal to rounding.
    """

    def __init__(
        self,
        generator: DiffusionGenerator,
        candidates: VideoFeatures | TextFeatures,
        num_pairs: int = 0,
    ) -> None:
        self.generator = generator
        self.candidates = candidates
        self.denoiser = generator.unroll()
        self.projected = None
        weight = generator.denoiser.q_proj.weight
        if generator.direction == 'v2t':
            pooled = candidates.pooled.to(weight)
            self.projected = self.denoiser.project(pooled, for_many_queries=True)
        elif self._frames_pay(num_pairs):
            frames = candidates.frames.flatten(0, 1).to(weight)
            self.projected = self.denoiser.project(frames)

    @torch.no_grad()
    def sample(
        self,
        queries: TextFeatures | VideoFeatures,
        chosen: Tensor,
        scores: Tensor,
        noise: Tensor,
        return_trajectory: bool = False,
    ) -> Tensor:
        """Denoise the distributions of n queries; see `CandidateSampler.sample`.

        The similarities are not read. x_0 is in [-1, 1].
        """
        queries = queries.to(noise)
        rows = self._start(queries, chosen)
        return torch.stack(
            [self.generator.run(self.denoiser, rows, draw, return_trajectory) for draw in noise]
        )

    def _start(self, queries: TextFeatures | VideoFeatures, chosen: Tensor) -> SamplingRows:
        """Make queries and their candidates ready for the steps."""
        mixes = self.generator.direction == 't2v' and self.projected is not None
        compute = self._weigh if mixes else self._pool
        parts = torch.cat([compute(queries, chosen, rows) for rows in self._chunks(chosen)])
        if self.generator.direction == 'v2t':
            return self.denoiser.start(parts, self.projected[chosen])
        if mixes:
            num_frames = parts.shape[2]
            first = chosen[..., None] * num_frames
            frames = first + torch.arange(num_frames, device=chosen.device)
            projected = self.projected.mix(frames, parts)
        else:
            projected = self.denoiser.project(parts)
        return self.denoiser.start(queries.pooled[:, None], projected)

    def _weigh(self, queries: TextFeatures, chosen: Tensor, rows: Tensor) -> Tensor:
        """Weigh the frames of some candidates, [n, K, F]."""
        texts = queries.pooled[rows, None]
        return self.generator.attention.attention(texts, *self._frames(chosen[rows], texts))

    def _frames(self, chosen: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Gather the frames of candidates and their mask."""
        chosen = chosen.to(self.candidates.mask.device)
        frames = self.candidates.frames[chosen].to(like)
        return frames, self.candidates.mask[chosen].to(frames.device)

    def _pool(self, queries: TextFeatures | VideoFeatures, chosen: Tensor, rows: Tensor) -> Tensor:
        """Pool the videos of some pairs: candidates' frames, or those of the queries."""
        if self.generator.direction == 't2v':
            frames, mask = self._frames(chosen[rows], queries.pooled)
            return self.generator.pool(queries.pooled[rows], frames, mask)
        texts = self.candidates.pooled[chosen[rows].to(self.candidates.mask.device)]
        texts = texts.to(queries.frames)
        return self.generator.pool(texts, queries.frames[rows], queries.mask[rows])

    def _frames_pay(self, num_pairs: int) -> bool:
        """Whether all frames are to be projected once."""
        num_frames = self.candidates.mask.numel()
        bytes_of_frame = 5 * self.generator.denoiser.width * 4  # features, values and hidden
        return (
            self.generator.attention.mixes_frames
            and num_frames < num_pairs
            and num_frames * bytes_of_frame <= PROJECTED_BYTES
        )

    def _chunks(self, chosen: Tensor) -> tuple[Tensor, ...]:
        row_bytes = chosen.shape[1] * self._bytes_of_candidate()
        rows = torch.arange(len(chosen), device=chosen.device)
        return rows.split(max(1, GATHER_BYTES // row_bytes))

    def _bytes_of_candidate(self) -> int:
        tensor = self.candidates.tensors()[
            'frames' if self.generator.direction == 't2v' else 'pooled'
        ]
        return tensor[0].numel() * tensor.element_size()
