"""Re-ranking by two generators, one for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.generators import DIRECTIONS, CandidateSampler, start_noise
from diffusionret_mm.models.retrievers.calibration import Calibration, Judgement, join
from diffusionret_mm.models.retrievers.reranking import (
    DiffusionTrace,
    GeneratedCandidates,
    for_best,
    rerank_best,
)
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# In checkpoints of calibrated models: the numbers of a `Calibration` in a row per direction.
CALIBRATION = 'calibration'
# In checkpoints of generators that keep to it: the number of candidates per direction.
TRAINED_CANDIDATES = 'trained_candidates'


class GeneratedReRanking(TextVideoRetriever):
    """Adds a generated distribution to the similarities S of each query's best candidates.

    The final score of the best `num_candidates` is S + weight * softmax(temperature * x_0) with x_0
    generated from noise; the other candidates keep S. Nothing is re-ranked in stage
    'discrimination'. Once calibrated (`CalibrateHook`), the best have p of `Calibration` on top of
    the smallest S among them. Arguments are those of `DiffusionRet`.
    """

    stages: tuple[str, ...] = ('discrimination', 'generation')

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
        counts = torch.tensor([self.candidates_per_query[name] for name in DIRECTIONS])
        keeps = self.generators['t2v'].keeps_num_candidates
        self.register_buffer(TRAINED_CANDIDATES, counts if keeps else None)

    @property
    def can_calibrate(self) -> bool:
        """Whether both directions are re-ranked; see `ReRanking.can_calibrate`."""
        return all(self.candidates_per_query.values())

    def calibrated(self, direction: str) -> Calibration | None:
        """Return how similarity and generator are weighed; None: by `weight`, as published."""
        if self.calibration is None:
            return None
        return Calibration.of(self.calibration[DIRECTIONS.index(direction)].tolist())

    def calibrate(self, calibrations: Mapping[str, Calibration]) -> None:
        """Set how similarity and generator are weighed in each direction; checkpoints keep it."""
        rows = [calibrations[name].numbers for name in DIRECTIONS]
        self.calibration = torch.tensor(rows, device=self.similarity.placement.device)

    @property
    def averaged_draws(self) -> int:
        """Number of draws; see `ReRanking.averaged_draws`."""
        return self.num_draws if self.generators['t2v'].num_train_steps else 1

    @property
    def no_confidence(self) -> str | None:
        """Why there is no confidence; see `ReRanking.no_confidence`."""
        if self.stage != 'generation':
            return f"{type(self).__name__} has no confidence in stage '{self.stage}'."
        calibration = self.calibrated('t2v')
        if calibration is None:
            return 'The checkpoint has no confidence: CalibrateHook has not calibrated it.'
        if calibration.match is None:
            return (
                'The checkpoint has no confidence: it was calibrated before that was kept. Train '
                'its second stage again with CalibrateHook.'
            )
        return None

    def check_num_candidates(self, state_dict: dict[str, Tensor], prefix: str = '') -> None:
        """Refuse weights that were trained on another number of candidates, if that matters.

        Args:
            state_dict: what a checkpoint holds. One of an earlier version does not say its number;
                it gets that of the model, in place.
            prefix: of its keys.

        Raises:
            CheckpointError: naming both numbers.
        """
        if self.trained_candidates is None:
            return
        own = self.trained_candidates.tolist()
        then = state_dict.setdefault(prefix + TRAINED_CANDIDATES, self.trained_candidates).tolist()
        if then != own:
            raise CheckpointError(
                f'The checkpoint was trained on {then[0]} candidates per text and {then[1]} per '
                f'video, and the model re-ranks {own[0]} and {own[1]}. Its candidates attend to '
                'each other, so another number is another task. Set '
                f'model.num_candidates=dict(t2v={then[0]}, v2t={then[1]}), or train anew.'
            )

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
        found = self._generate(direction, scores, queries, candidates, chosen, noise)
        return self.combine(direction, found)

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
        num_candidates: int | None = None,
    ) -> GeneratedCandidates | None:
        """Return the generated distributions; see `ReRanking.generate`."""
        limits = self.num_candidates(direction), scores.shape[1], num_candidates
        count = min(limit for limit in limits if limit is not None)
        if count == 0:
            return None
        index = query_index.to(scores.device)
        sampler = self.prepare_candidates(direction, candidates, len(scores) * count)

        def generate(rows: Tensor, best: Tensor, chosen: Tensor) -> GeneratedCandidates:
            part = queries[rows.to(queries.mask.device)]
            noise = self._start_noise(direction, count, index[rows])
            return self._generate(direction, best, part, sampler, chosen, noise)

        parts = [part for _, part in for_best(scores, count, generate, self.rerank_chunk)]
        return GeneratedCandidates.cat(parts)

    def combine(self, direction: str, found: GeneratedCandidates) -> Tensor:
        """Add the distributions by weight, or as calibrated; see `ReRanking.combine`."""
        calibration = self.calibrated(direction)
        if calibration is None:
            return found.scores + self.weight[direction] * found.probabilities
        log_p = calibration.log_probabilities(found.scores, found.probabilities)
        return join(found.scores, log_p.exp())

    def judge(self, direction: str, found: GeneratedCandidates) -> Judgement | None:
        """Return how sure the model is; see `ReRanking.judge`."""
        calibration = self.calibrated(direction)
        if calibration is None:
            return None
        return calibration.judge(found.scores, found.probabilities, found.logits)

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
            found = self._generate(direction, best, part, sampler, chosen, noise[:, rows])
            return self.combine(direction, found)

        return rerank_best(scores, num_candidates, refine, self.rerank_chunk)

    def _generate(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        sampler: CandidateSampler,
        chosen: Tensor,
        noise: Tensor,
    ) -> GeneratedCandidates:
        """Distributions from the start noise of some draws, [draws, n, K]."""
        x = sampler.sample(queries, chosen, scores, noise)
        drawn = (self.temperature[direction] * x).softmax(dim=2)
        parts = drawn.mean(dim=0), drawn[0], x.mean(dim=0)
        return GeneratedCandidates(chosen, scores, *(part.to(scores.dtype) for part in parts))

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
