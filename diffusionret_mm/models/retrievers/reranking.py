"""Re-ranking of each query's best candidates, in chunks of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.models.retrievers.calibration import Judgement
from diffusionret_mm.structures import TextFeatures, VideoFeatures

RERANK_CHUNK = 1024
RERANK_CHUNKS = {'cpu': 32}  # what fits into a core's share of the cache

ResultT = TypeVar('ResultT')
Refine = Callable[[Tensor, Tensor, Tensor], Tensor]


def for_best(
    scores: Tensor,
    num_candidates: int,
    compute: Callable[[Tensor, Tensor, Tensor], ResultT],
    chunk: int | None = None,
) -> Iterator[tuple[Tensor, ResultT]]:
    """Compute something of each query's best candidates, in chunks of queries.

    Args:
        scores: scores of n queries to C candidates, shape [n, C].
        num_candidates: number K of candidates, at most C.
        compute: takes the rows of m queries [m], the scores of their K best candidates, best first
            [m, K], and the rows of these candidates [m, K].
        chunk: queries of a chunk, a bound on memory; None takes 32 per core on a CPU and 1,024
            elsewhere.

    Yields:
        The rows of each chunk, in their order, and what was computed of it.
    """
    chunk = chunk or RERANK_CHUNKS.get(scores.device.type, RERANK_CHUNK)
    chunks = torch.arange(len(scores), device=scores.device).split(chunk)

    def of_chunk(rows: Tensor) -> ResultT:
        best = scores[rows].topk(num_candidates, dim=1)
        return compute(rows, best.values, best.indices)

    yield from zip(chunks, map_on_cores(of_chunk, chunks, scores.device), strict=True)


def rerank_best(
    scores: Tensor, num_candidates: int, refine: Refine, chunk: int | None = None
) -> Tensor:
    """Replace the scores of each query's best candidates.

    Args:
        scores: scores of n queries to C candidates, shape [n, C].
        num_candidates: number K of candidates that are re-ranked, at most C.
        refine: computes new scores [m, K]; its arguments are those of `compute` of `for_best`.
        chunk: as of `for_best`.

    Returns:
        Final scores, shape [n, C]; the other candidates keep theirs.
    """
    final = torch.empty_like(scores)

    def rerank(rows: Tensor, best: Tensor, chosen: Tensor) -> Tensor:
        return scores[rows].scatter(1, chosen, refine(rows, best, chosen))

    for rows, reranked in for_best(scores, num_candidates, rerank, chunk):
        final[rows] = reranked
    return final


@dataclass(frozen=True)
class DiffusionTrace:
    """A diffusion over the best candidates of n queries.

    Args:
        best: rows of the K best candidates of each query, best first, [n, K], int64.
        states: from x_T to x_0 over them, [S + 1, n, K].
        times: t of each state, from T down to 0, S + 1 numbers.
    """

    best: Tensor
    states: Tensor
    times: list[int]


@dataclass(frozen=True)
class GeneratedCandidates:
    """What a second stage alone says of the best candidates of n queries.

    Args:
        best: rows of the K best candidates of each query, best first, [n, K], int64.
        scores: their similarities, [n, K].
        probabilities: those of the second stage, which sum to 1 over the candidates, the mean over
            the draws, [n, K].
        first_draw: those of the first draw alone, [n, K].
        logits: what the probabilities are the softmax of, times a temperature; the mean over the
            draws, [n, K].
    """

    best: Tensor
    scores: Tensor
    probabilities: Tensor
    first_draw: Tensor
    logits: Tensor

    @classmethod
    def cat(cls, parts: Sequence[GeneratedCandidates]) -> GeneratedCandidates:
        """Join the queries of several parts."""
        names = vars(parts[0])
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class Reranked:
    """n queries after re-ranking.

    Args:
        scores: final scores of all C candidates, [n, C].
        best: rows of the candidates that are judged, [n, K], int64; None: none is.
        judgement: how sure these are; None: the model is not calibrated.
    """

    scores: Tensor
    best: Tensor | None = None
    judgement: Judgement | None = None


class ReRanking:
    """How a retriever re-ranks; one that overrides nothing re-ranks nothing."""

    rerank_chunk: int | None = None
    """Queries that are re-ranked at a time; None chooses by the device."""

    @property
    def can_calibrate(self) -> bool:
        """Whether the model re-ranks both directions by distributions.

        Then `generate` makes them, `combine` joins them with the similarity, `calibrate`, which
        `CalibrateHook` calls, sets how, and `judge` says how sure they are. Final scores are those
        of `combine`, and `refine` must give the same.
        """
        return False

    @property
    def averaged_draws(self) -> int:
        """Number of draws whose mean a distribution of `generate` is; 1 if nothing is drawn."""
        return 1

    @property
    def no_confidence(self) -> str | None:
        """Why the model cannot say whether any candidate fits, as a sentence; None: it can."""
        return (
            f'{type(self).__name__} has no confidence: that takes a second stage that re-ranks by '
            'distributions, calibrated by CalibrateHook.'
        )

    def num_candidates(self, direction: str) -> int:
        """Return how many of each query's best candidates are re-ranked, at most.

        0 means that nothing is re-ranked: final scores are the similarities.

        Args:
            direction: 't2v' (queries are texts) or 'v2t' (queries are videos).
        """
        return 0

    def prepare_candidates(
        self, direction: str, candidates: VideoFeatures | TextFeatures, num_pairs: int
    ) -> Any:
        """Compute what `refine` needs of all candidates, once for all queries.

        Args:
            direction: 't2v' or 'v2t'.
            candidates: the C candidates.
            num_pairs: number of (query, candidate) pairs that will be refined.

        Returns:
            What `refine` gets as `candidates`; by default the candidates themselves.
        """
        return candidates

    def refine(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: Any,
        chosen: Tensor,
        query_index: Tensor,
    ) -> Tensor:
        """Compute the final scores of each query's best candidates.

        A model that re-ranks overrides this method. It is called for a chunk of queries, without
        gradient, on a CPU in several threads; it must not write to what other calls read.

        Args:
            direction: 't2v' (queries are texts) or 'v2t' (queries are videos).
            scores: similarities of n queries and their K best candidates, best first, [n, K].
            queries: the n queries.
            candidates: what `prepare_candidates` made of all C candidates. By default
                `candidates[chosen[i]]` are the candidates of query i. They may lie on another
                device than the scores and have half precision.
            chosen: rows of the K candidates of each query, [n, K], int64.
            query_index: index of each query in its split, [n], int64. Random draws must depend on
                it alone, so that neither chunks nor processes change a result.

        Returns:
            Final scores, [n, K].
        """
        raise NotImplementedError(
            f'{type(self).__name__} re-ranks {self.num_candidates(direction)} candidates and has '
            'no method refine.'
        )

    def rerank_queries(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> Tensor:
        """Refine the scores of each query's best candidates; the others keep theirs.

        Args:
            direction: 't2v' (queries are texts) or 'v2t' (queries are videos).
            scores: similarities of n queries to C candidates, shape [n, C].
            queries: the n queries.
            candidates: the C candidates.
            query_index: index of each query in its split, shape [n], int64.

        Returns:
            Final scores, shape [n, C].
        """
        num_candidates = min(self.num_candidates(direction), scores.shape[1])
        if num_candidates == 0:
            return scores
        prepared = self.prepare_candidates(direction, candidates, len(scores) * num_candidates)
        index = query_index.to(scores.device)

        def refine(rows: Tensor, best: Tensor, chosen: Tensor) -> Tensor:
            part = queries[rows.to(queries.mask.device)]
            return self.refine(direction, best, part, prepared, chosen, index[rows])

        return rerank_best(scores, num_candidates, refine, self.rerank_chunk)

    def generate(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
        num_candidates: int | None = None,
    ) -> GeneratedCandidates | None:
        """Return what the second stage alone says, before it joins the similarity.

        Arguments as of `rerank_queries`, and `num_candidates`: how many there are at most, if they
        are to be fewer than are re-ranked.

        Returns:
            Its distributions; None if nothing is re-ranked, or not by a distribution.
        """
        return None

    def combine(self, direction: str, found: GeneratedCandidates) -> Tensor:
        """Join similarities and distributions; see `can_calibrate`.

        Args:
            direction: 't2v' or 'v2t'.
            found: what `generate` returned.

        Returns:
            Final scores of the candidates, [n, K].
        """
        raise NotImplementedError(f'{type(self).__name__} re-ranks by no distribution.')

    def judge(self, direction: str, found: GeneratedCandidates) -> Judgement | None:
        """Return how sure the model is of its candidates; None: it is not calibrated.

        Arguments as of `combine`.
        """
        return None

    def rerank_and_judge(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> Reranked:
        """Refine the scores of each query's best candidates, and say how sure they are.

        Arguments as of `rerank_queries`, whose scores these are.
        """
        query = direction, scores, queries, candidates, query_index
        found = self.generate(*query)
        if found is None:
            return Reranked(self.rerank_queries(*query))
        final = scores.scatter(1, found.best, self.combine(direction, found))
        return Reranked(final, found.best, self.judge(direction, found))

    def trace(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> DiffusionTrace | None:
        """Return the states that a diffusion over the candidates goes through in re-ranking.

        Arguments as of `rerank_queries`.

        Returns:
            The states of the first draw; None if the model diffuses nothing over candidates.
        """
        return None

    def rerank(
        self, scores: Tensor, texts: TextFeatures, videos: VideoFeatures
    ) -> tuple[Tensor, Tensor]:
        """Refine all scores, in both directions.

        Args:
            scores: similarities, shape [N, M].
            texts: the N texts.
            videos: the M videos.

        Returns:
            t2v [N, M] and v2t [M, N].
        """
        text_index = torch.arange(len(texts), device=scores.device)
        video_index = torch.arange(len(videos), device=scores.device)
        t2v = self.rerank_queries('t2v', scores, texts, videos, text_index)
        v2t = self.rerank_queries('v2t', scores.t(), videos, texts, video_index)
        return t2v, v2t
