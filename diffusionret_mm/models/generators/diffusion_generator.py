"""The generator: diffusion of a distribution over the candidates of a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

from diffusionret_mm.models.generators.denoiser import QueryCandidates
from diffusionret_mm.models.generators.noise import build_noise_scheduler
from diffusionret_mm.models.generators.sampling import LinearRun, SamplingRun, SchedulerRun
from diffusionret_mm.models.generators.unrolled import SamplingRows, UnrolledDenoiser

DIRECTIONS = ('t2v', 'v2t')
POSITIVE = 0  # column of the positive in a training row


@MODELS.register_module()
class DiffusionGenerator(BaseModule):
    """Generates p(candidates, query) from noise (DiffusionRet, Section 3.2).

    In direction t2v a text ranks videos, each pooled by its attention to the text; in direction
    v2t a video, pooled by each candidate text, ranks the texts.

    Args:
        direction: 't2v' or 'v2t'.
        denoiser: config of the network that predicts x_0.
        attention: config of the head that pools frames by a text.
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
    ) -> None:
        super().__init__()
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be one of {DIRECTIONS}; got {direction!r}.')
        self.direction = direction
        self.noise_schedule = noise_schedule
        self.num_train_steps = num_train_steps
        self.negative_value = negative_value
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
        self._unrolled: UnrolledDenoiser | None = None

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

    def forward(self, context: QueryCandidates, t: Tensor, noise: Tensor) -> Tensor:
        """Training pass: noise the ideal distribution, predict it back.

        Args:
            context: of rows whose first candidate is the positive.
            t: step of each row, shape [n], int64.
            noise: standard normal, shape [n, K].

        Returns:
            The prediction of x_0, shape [n, K]; `GenerationKLLoss` takes it.
        """
        x_t = self.scheduler.add_noise(self.ideal(noise), noise, t)
        return self.denoiser(x_t, t, context)

    def ideal(self, noise: Tensor) -> Tensor:
        """Return x_0 of training rows like `noise` [n, K]: 1 for the positive, in column 0."""
        x_start = torch.full_like(noise, self.negative_value)
        x_start[:, POSITIVE] = 1.0
        return x_start

    def unroll(self) -> UnrolledDenoiser:
        """Work the steps of `sample` into the denoiser; good as long as its weights stay.

        The last result is kept, and returned again while neither weights nor steps have changed.
        """
        self.scheduler.set_timesteps(self.num_sample_steps)
        steps = self.scheduler.timesteps.to(self.denoiser.q_proj.weight.device, torch.long)
        unrolled = self._unrolled  # another thread may replace it at any time
        if unrolled is None or not unrolled.is_of(self.denoiser, steps):
            self._unrolled = unrolled = UnrolledDenoiser(self.denoiser, steps)
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
        denoiser: UnrolledDenoiser,
        rows: SamplingRows,
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

    def _start_run(self, start_noise: Tensor) -> SamplingRun:
        if not LinearRun.is_linear(self.scheduler):
            return SchedulerRun(self.scheduler, self.num_sample_steps, start_noise)
        if self._linear_run is None:  # two threads may make it at a time: both make the same
            self._linear_run = LinearRun(self.scheduler, self.num_sample_steps)
        return self._linear_run
