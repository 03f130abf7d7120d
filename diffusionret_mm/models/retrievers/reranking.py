"""Re-ranking of each query's best candidates, in chunks of queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.structures import TextFeatures, VideoFeatures

RERANK_CHUNK = 1024
RERANK_CHUNKS = {'cpu': 32}  # what fits into a core's share of the cache

Refine = Callable[[Tensor, Tensor, Tensor], Tensor]


def rerank_best(
    scores: Tensor, num_candidates: int, refine: Refine, chunk: int | None = None
) -> Tensor:
    """Replace the scores of each query's best candidates.

    Args:
        scores: scores of n queries to C candidates, shape [n, C].
        num_candidates: number K of candidates that are re-ranked, at most C.
        refine: computes new scores [m, K] from the rows of m queries [m], the scores of their K
            best candidates, best first [m, K], and the rows of these candidates [m, K].
        chunk: queries that are refined at a time, a bound on memory; None takes 32 per core on a
            CPU and 1,024 elsewhere.

    Returns:
        Final scores, shape [n, C]; the other candidates keep theirs.
    """
    final = torch.empty_like(scores)
    chunk = chunk or RERANK_CHUNKS.get(scores.device.type, RERANK_CHUNK)
    chunks = torch.arange(len(scores), device=scores.device).split(chunk)

    def rerank(rows: Tensor) -> Tensor:
        best = scores[rows].topk(num_candidates, dim=1)
        return scores[rows].scatter(1, best.indices, refine(rows, best.values, best.indices))

    for rows, reranked in zip(chunks, map_on_cores(rerank, chunks, scores.device), strict=True):
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
        probabilities: those of the second stage, which sum to 1 over the candidates, [n, K].
    """

    best: Tensor
    scores: Tensor
    probabilities: Tensor


class ReRanking:
    """How a retriever re-ranks; one that overrides nothing re-ranks nothing."""

    rerank_chunk: int | None = None
    """Queries that are re-ranked at a time; None chooses by the device."""

    can_calibrate: bool = False
    """Whether the model has a method `calibrate`, which `CalibrateHook` calls."""

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
    ) -> GeneratedCandidates | None:
        """Return what the second stage alone says, before it joins the similarity.

        Arguments as of `rerank_queries`.

        Returns:
            Its distributions; None if nothing is re-ranked, or not by a distribution.
        """
        return None

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
