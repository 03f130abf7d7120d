"""The generator: diffusion of a distribution over the candidates of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.models.generators.base import CandidateGenerator, CandidateRows
from diffusionret_mm.models.generators.candidate_list import StepDenoiser
from diffusionret_mm.models.generators.denoiser import QueryCandidates
from diffusionret_mm.models.generators.noise import build_noise_scheduler
from diffusionret_mm.models.generators.pair_sampler import PairSampler
from diffusionret_mm.models.generators.pooled_sampler import GATHER_BYTES, PooledSampler
from diffusionret_mm.models.generators.sampling import LinearRun, SamplingRun, SchedulerRun
from diffusionret_mm.models.generators.token_pairs import PairVectors
from diffusionret_mm.models.generators.unrolled import SamplingRows, UnrolledDenoiser
from diffusionret_mm.structures import TextFeatures, VideoFeatures

POSITIVE = 0  # column of the positive in a training row


@MODELS.register_module()
class DiffusionGenerator(CandidateGenerator):
    """Generates p(candidates, query) from noise (DiffusionRet, Section 3.2).

    In direction t2v a text ranks videos, each pooled by its attention to the text; in direction
    v2t a video, pooled by each candidate text, ranks the texts. With an `encoder` the denoiser
    reads vectors of pairs instead, which are no published form.

    Args:
        direction: 't2v' or 'v2t'.
        denoiser: config of the network that predicts x_0.
        attention: config of the head that pools frames by a text.
        encoder: config of an encoder of pairs, such as `TokenPairEncoder`, in place of `attention`;
            the denoiser is a `CandidateListDenoiser` then.
        scheduler: `dict(type=NAME)` of a scheduler of diffusers.
        noise_schedule: 'cosine' or 'linear'.
        num_train_steps: number T of diffusion steps.
        num_sample_steps: number of denoising steps in `sample`; at most T.
        negative_value: x_0 of the negatives in training, 0 or -1 (the positive's is 1).

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        direction: str,
        denoiser: Mapping[str, Any],
        attention: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        noise_schedule: str = 'cosine',
        num_train_steps: int = 50,
        num_sample_steps: int = 50,
        negative_value: float = 0.0,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(direction)
        if attention and encoder:
            raise ValueError('Give attention (pooled vectors) or encoder (vectors of pairs).')
        self.noise_schedule = noise_schedule
        self.num_train_steps = num_train_steps
        self.negative_value = negative_value
        self.encoder = MODELS.build(encoder) if encoder else None
        self.keeps_num_candidates = self.encoder is not None
        if self.encoder is None:
            self.negatives = ('batch', 'training_set', 'sampled_gallery')
        self.attention = MODELS.build(attention or dict(type='TextFrameAttentionHead'))
        self.denoiser = MODELS.build(denoiser)
        self.set_sampler(scheduler or dict(type='DDIMScheduler'), num_sample_steps)

    def set_sampler(self, scheduler: Mapping[str, Any], num_sample_steps: int) -> None:
        """Choose how `sample` denoises; the weights know nothing of it.

        Args:
            scheduler: `dict(type=NAME)` of a scheduler of diffusers.
            num_sample_steps: number of denoising steps; at most T.

        Raises:
            ValueError: if the number is out of range or there is no such scheduler.
        """
        if not 0 < num_sample_steps <= self.num_train_steps:
            raise ValueError(
                f'num_sample_steps must be in 1..num_train_steps ({self.num_train_steps}); '
                f'got {num_sample_steps}.'
            )
        self.num_sample_steps = num_sample_steps
        self.scheduler = build_noise_scheduler(scheduler, self.noise_schedule, self.num_train_steps)
        self._linear_run: LinearRun | None = None
        self._unrolled: UnrolledDenoiser | StepDenoiser | None = None

    def pair(self, text: Tensor, pooled: Tensor) -> QueryCandidates:
        """Say which is the query, from pooled videos.

        Args:
            text: end-of-text features: [n, D] in direction t2v, [n, K, D] in v2t.
            pooled: the video of each (query, candidate) pair as its text sees it, [n, K, D].

        Returns:
            Queries and candidates.
        """
        if self.direction == 't2v':
            return QueryCandidates(query=text[:, None], candidates=pooled)
        return QueryCandidates(query=pooled, candidates=text)

    def context(self, text: Tensor, frames: Tensor, mask: Tensor) -> QueryCandidates:
        """Pool the videos by text-frame attention, then `pair`.

        Args:
            text: [n, D] in direction t2v, [n, K, D] in v2t.
            frames: candidates' frames [n, K, F, D] in direction t2v, the query's [n, F, D] in v2t.
            mask: True for real frames, the shape of `frames` without D, bool.

        Returns:
            Queries and candidates.
        """
        return self.pair(text, self.pool(text, frames, mask))

    def pool(self, text: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool the video of each pair as its text sees it, [n, K, D]; see `context`."""
        if self.direction == 't2v':
            return self.attention(text[:, None], frames, mask)
        return self.attention(text, frames[:, None], mask[:, None])

    def sampler(
        self, candidates: VideoFeatures | TextFeatures, num_pairs: int = 0
    ) -> PooledSampler | PairSampler:
        """Project what all queries share; see `CandidateGenerator.sampler`."""
        if self.encoder is not None:
            return PairSampler(self.direction, self.encoder, self._draw, candidates)
        return PooledSampler(self, candidates, num_pairs)

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor | None:
        """Return the weights that pool the frames; see `CandidateGenerator.frame_attention`."""
        if self.encoder is not None:
            return None
        return self.attention.attention(texts.pooled, videos.frames, videos.mask)

    def training_context(self, rows: CandidateRows) -> QueryCandidates | PairVectors:
        """Encode the pairs of training rows, or pool the video of each, some rows at a time."""
        if self.encoder is not None:
            return self.encoder.encode_rows(rows)
        frames, mask = rows.videos.frames, rows.videos.mask
        row_bytes = rows.video_rows.shape[1] * frames[0].numel() * frames.element_size()
        chunks = torch.arange(len(rows.positive)).split(max(1, GATHER_BYTES // row_bytes))
        text = rows.texts.pooled[rows.text_rows]
        pooled = [
            self.attention(text[part], frames[rows.video_rows[part]], mask[rows.video_rows[part]])
            for part in chunks
        ]
        return self.pair(text[:, 0] if self.direction == 't2v' else text, torch.cat(pooled))

    def forward(
        self,
        context: QueryCandidates | PairVectors,
        t: Tensor,
        noise: Tensor,
        positive: Tensor | None = None,
    ) -> Tensor:
        """Training pass: noise the ideal distribution, predict it back.

        Args:
            context: what `training_context` returned for n rows.
            t: step of each row, shape [n], int64.
            noise: standard normal, shape [n, K].
            positive: which candidates are right, [n, K], bool; None: the first of each row.

        Returns:
            The prediction of x_0, shape [n, K]; `GenerationKLLoss` takes it.
        """
        x_t = self.scheduler.add_noise(self.ideal(noise, positive), noise, t)
        return self.denoiser(x_t, t, context)

    def ideal(self, noise: Tensor, positive: Tensor | None = None) -> Tensor:
        """Return x_0 of training rows like `noise` [n, K]: 1 for positives; None: for column 0."""
        x_start = torch.full_like(noise, self.negative_value)
        if positive is None:
            x_start[:, POSITIVE] = 1.0
            return x_start
        return x_start.masked_fill(positive, 1.0)

    def unroll(self) -> UnrolledDenoiser | StepDenoiser:
        """Work the steps of `sample` into the denoiser; good as long as its weights stay.

        The last result is kept, and returned again while neither weights nor steps have changed.
        """
        self.scheduler.set_timesteps(self.num_sample_steps)
        device = next(self.denoiser.parameters()).device
        steps = self.scheduler.timesteps.to(device, torch.long)
        unrolled = self._unrolled  # another thread may replace it at any time
        if unrolled is None or not unrolled.is_of(self.denoiser, steps):
            unroll = UnrolledDenoiser if self.encoder is None else StepDenoiser
            self._unrolled = unrolled = unroll(self.denoiser, steps)
        return unrolled

    def sample(
        self, context: QueryCandidates, start_noise: Tensor, return_trajectory: bool = False
    ) -> Tensor:
        """Denoise from pure noise.

        Each prediction is clipped to [-1, 1]. Rows do not interact.

        Args:
            context: the queries and their candidates.
            start_noise: x_T, standard normal, shape [n, K], float32.
            return_trajectory: also return the states between.

        Returns:
            x_0 of shape [n, K]; with `return_trajectory` all states [steps, n, K], x_0 last.
        """
        denoiser = self.unroll()
        rows = denoiser.start(context.query, denoiser.project(context.candidates))
        return self.run(denoiser, rows, start_noise, return_trajectory)

    @torch.no_grad()
    def run(
        self,
        denoiser: UnrolledDenoiser | StepDenoiser,
        rows: SamplingRows | PairVectors,
        start_noise: Tensor,
        return_trajectory: bool = False,
    ) -> Tensor:
        """Denoise rows that are ready; see `sample`."""
        run = self._start_run(start_noise)
        x = start_noise * self.scheduler.init_noise_sigma
        states = []
        for step in range(self.num_sample_steps):
            prediction = denoiser.predict(run.input_of(x, step), step, rows).clamp_(-1, 1)
            x = run.next_state(x, step, prediction)
            if return_trajectory:
                states.append(x)
        return torch.stack(states) if return_trajectory else x

    def _draw(self, context: PairVectors, noise: Tensor, return_trajectory: bool) -> Tensor:
        """Denoise pairs from the start noise of some draws, [draws, n, K]."""
        denoiser = self.unroll()
        draws = [self.run(denoiser, context, start, return_trajectory) for start in noise]
        return torch.stack(draws)

    def _start_run(self, start_noise: Tensor) -> SamplingRun:
        if not LinearRun.is_linear(self.scheduler):
            return SchedulerRun(self.scheduler, self.num_sample_steps, start_noise)
        if self._linear_run is None:  # two threads may make it at a time: both make the same
            self._linear_run = LinearRun(self.scheduler, self.num_sample_steps)
        return self._linear_run
