"""Re-ranking by two generators, one for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffusionret_mm.models.generators import DIRECTIONS, CandidateSampler, start_noise
from diffusionret_mm.models.retrievers.calibration import Calibration, join
from diffusionret_mm.models.retrievers.reranking import (
    DiffusionTrace,
    GeneratedCandidates,
    rerank_best,
)
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# In checkpoints of calibrated models: temperature and weight in a row per direction.
CALIBRATION = 'calibration'


class GeneratedReRanking(TextVideoRetriever):
    """Adds a generated distribution to the similarities S of each query's best candidates.

    The final score of the best `num_candidates` is S + weight * softmax(temperature * x_0) with x_0
    generated from noise; the other candidates keep S. Nothing is re-ranked in stage
    'discrimination'. Once calibrated (`CalibrateHook`), the best have p of `Calibration` on top of
    the smallest S among them. Arguments are those of `DiffusionRet`.
    """

    stages = ('discrimination', 'generation')
    can_calibrate = True

    def __init__(
        self,
        *,
        generator: Mapping[str, Any],
        num_candidates: int | Mapping[str, int] = 32,
        temperature: float | Mapping[str, float] = 1.0,
        weight: float | Mapping[str, float] = 1.0,
        num_draws: int = 1,
        noise_seed: int = 0,
        rerank_chunk: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.generators = nn.ModuleDict(
            {
                direction: self.build_part(dict(generator, direction=direction))
                for direction in DIRECTIONS
            }
        )
        self.calibration: Tensor | None
        self.candidates_per_query = _per_direction(num_candidates)
        self.temperature = _per_direction(temperature)
        self.weight = _per_direction(weight)
        self.num_draws = num_draws
        self.noise_seed = noise_seed
        self.rerank_chunk = rerank_chunk
        self.register_buffer(CALIBRATION, None)

    def calibrated(self, direction: str) -> Calibration | None:
        """Return how similarity and generator are weighed; None: by `weight`, as published."""
        if self.calibration is None:
            return None
        return Calibration(*self.calibration[DIRECTIONS.index(direction)].tolist())

    def calibrate(self, calibrations: Mapping[str, Calibration]) -> None:
        """Set how similarity and generator are weighed in each direction; checkpoints keep it."""
        rows = [vars(calibrations[name]).values() for name in DIRECTIONS]
        device = self.similarity.placement.device
        self.calibration = torch.tensor([[*row] for row in rows], device=device)

    def num_candidates(self, direction: str) -> int:
        """Return how many candidates are re-ranked; none in stage 'discrimination'."""
        return self.candidates_per_query[direction] if self.stage == 'generation' else 0

    def prepare_candidates(
        self, direction: str, candidates: VideoFeatures | TextFeatures, num_pairs: int
    ) -> CandidateSampler:
        """Project what all queries share; see `TextVideoRetriever.prepare_candidates`."""
        return self.generators[direction].sampler(candidates, num_pairs)

    def refine(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: CandidateSampler,
        chosen: Tensor,
        query_index: Tensor,
    ) -> Tensor:
        """Add the generated distribution; see `TextVideoRetriever.refine`."""
        noise = self._start_noise(direction, chosen.shape[1], query_index)
        return self._add_generated(direction, scores, queries, candidates, chosen, noise)

    @torch.no_grad()
    def trace(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> DiffusionTrace | None:
        """Return the states of the first draw; see `TextVideoRetriever.trace`."""
        num_candidates = min(self.num_candidates(direction), scores.shape[1])
        if num_candidates == 0 or self.generators[direction].num_train_steps == 0:
            return None
        index = query_index.to(scores.device)
        noise = self._start_noise(direction, num_candidates, index)[:1]
        values, best = scores.topk(num_candidates, dim=1)
        sampler = self.generators[direction].sampler(candidates)
        states = sampler.sample(queries, best, values, noise, return_trajectory=True)
        # A state belongs to the step that is to be taken; the paper counts steps from 1.
        steps = self.generators[direction].scheduler.timesteps.tolist()
        return DiffusionTrace(best, torch.cat([noise, states[0]]), [*(t + 1 for t in steps), 0])

    @torch.no_grad()
    def generate(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> GeneratedCandidates | None:
        """Return the generated distributions; see `ReRanking.generate`."""
        num_candidates = min(self.num_candidates(direction), scores.shape[1])
        if num_candidates == 0:
            return None
        values, best = scores.topk(num_candidates, dim=1)
        noise = self._start_noise(direction, num_candidates, query_index.to(scores.device))
        sampler = self.prepare_candidates(direction, candidates, best.numel())
        x = sampler.sample(queries, best, values, noise)
        return GeneratedCandidates(best, values, self._distribution(direction, x))

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor | None:
        """Return the weights that the generator pools frames with, in stage 'generation'.

        Those of the similarity stand in for a generator that pools none.
        """
        own = None
        if self.stage == 'generation':
            own = self.generators['t2v'].frame_attention(texts, videos)
        return super().frame_attention(texts, videos) if own is None else own

    def rerank_from_noise(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        noise: Tensor,
    ) -> Tensor:
        """Re-rank the best candidates of each query from given start noise.

        Args:
            direction: 't2v' or 'v2t'.
            scores: similarities of n queries to C candidates, shape [n, C].
            queries: the n queries.
            candidates: the C candidates.
            noise: start noise x_T of each draw, shape [draws, n, K]; its K is the number of
                candidates that are re-ranked.

        Returns:
            S + weight * softmax(temperature * x_0), averaged over the draws, for the K best, S for
            the others, [n, C].
        """
        num_candidates = noise.shape[2]
        sampler = self.prepare_candidates(direction, candidates, len(scores) * num_candidates)

        def refine(rows: Tensor, best: Tensor, chosen: Tensor) -> Tensor:
            part = queries[rows.to(queries.mask.device)]
            return self._add_generated(direction, best, part, sampler, chosen, noise[:, rows])

        return rerank_best(scores, num_candidates, refine, self.rerank_chunk)

    def _add_generated(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        sampler: CandidateSampler,
        chosen: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """Final scores from the start noise of some draws, [draws, n, K]."""
        x = sampler.sample(queries, chosen, scores, noise)
        added = self._distribution(direction, x).to(scores.dtype)
        calibration = self.calibrated(direction)
        if calibration is not None:
            return join(scores, calibration.log_probabilities(scores, added))
        return scores + self.weight[direction] * added

    def _distribution(self, direction: str, x: Tensor) -> Tensor:
        """softmax(temperature * x_0), the mean over the draws, [draws, n, K] -> [n, K]."""
        return (self.temperature[direction] * x).softmax(dim=2).mean(dim=0)

    def _start_noise(self, direction: str, num_candidates: int, query_index: Tensor) -> Tensor:
        """Noise of each draw for the candidates that are re-ranked, [draws, n, K]."""
        if self.generators[direction].num_train_steps == 0:
            return torch.zeros(1, len(query_index), num_candidates, device=query_index.device)
        seed = (self.noise_seed, DIRECTIONS.index(direction))
        seeds = [seed, *((*seed, draw) for draw in range(1, self.num_draws))]
        return torch.stack([start_noise(query_index, num_candidates, each) for each in seeds])


def _per_direction(value: Any) -> dict[str, Any]:
    """Make a value for each direction of one value or a mapping."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(DIRECTIONS, value)
    if set(value) != set(DIRECTIONS):
        raise ValueError(f'Give one value or one for each of {DIRECTIONS}; got {dict(value)}.')
    return dict(value)
