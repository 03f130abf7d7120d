"""The hardest negatives of the whole training set, found while the extractor is frozen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.features.store import FeatureStore
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.progress import progress_bar

# Texts and videos whose scores are held at a time, and those of a block of the similarity.
SLICE, CHUNK = 1024, 64


@torch.no_grad()
def hardest_of_training_set(
    model: TextVideoRetriever,
    store: FeatureStore,
    num_negatives: int,
    given: tuple[Tensor, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Find the best-scored texts and videos that do not belong to a query's own video.

    Every text is scored against every video once, in float32; slices bound the memory.

    Args:
        model: the retriever.
        store: features of N texts and M videos.
        num_negatives: number of negatives per query, at most; as many as every query has.
        given: scores of another program in place of the similarity's, [N, M] and [M, N].

    Returns:
        `negative_videos`, rows of videos for each text, [N, K], and `negative_texts`, rows of texts
        for each video, [M, K], int32. They are in the order of the data set: that of nearly equal
        scores hangs on rounding, and noise belongs to places.

    Raises:
        ValueError: if the training set has one video only.
    """
    if store.num_videos < 2:
        raise ValueError('The training set has one readable video only, so no negatives.')
    device = next(model.parameters()).device
    own = torch.from_numpy(store.video_of_text).to(device)
    others = store.num_texts - int(store.texts_of_video.max())
    best_texts = _Best(store.num_videos, min(num_negatives, others), device)
    negative_videos = []
    with progress_bar(store.num_texts, 'hard negatives', 'text') as progress:
        for texts in np.split(np.arange(store.num_texts), range(SLICE, store.num_texts, SLICE)):
            best_videos = _Best(len(texts), min(num_negatives, store.num_videos - 1), device)
            score = _scorer(model, store, texts, given)
            for videos in np.split(
                np.arange(store.num_videos), range(SLICE, store.num_videos, SLICE)
            ):
                is_own = own[texts, None] == torch.from_numpy(videos).to(device)
                t2v, v2t = (
                    scores.to(device).masked_fill(is_own, float('-inf')) for scores in score(videos)
                )
                best_videos.add(slice(None), t2v, videos[0])
                best_texts.add(slice(videos[0], videos[-1] + 1), v2t.t(), texts[0])
            negative_videos.append(best_videos.in_order())
            progress.update(len(texts))
    return dict(negative_videos=torch.cat(negative_videos), negative_texts=best_texts.in_order())


def _scorer(
    model: TextVideoRetriever,
    store: FeatureStore,
    texts: np.ndarray,
    given: tuple[Tensor, Tensor] | None,
) -> Callable[[np.ndarray], tuple[Tensor, Tensor]]:
    """Make what scores n texts against m videos, in both directions, [n, m] each."""
    if given is not None:
        rows = slice(texts[0], texts[-1] + 1)

        def look_up(videos: np.ndarray) -> tuple[Tensor, Tensor]:
            columns = slice(videos[0], videos[-1] + 1)
            return given[0][rows, columns], given[1][columns, rows].t()

        return look_up
    device = next(model.parameters()).device
    features = store.texts(texts).to(device)

    def score(videos: np.ndarray) -> tuple[Tensor, Tensor]:
        scores = similarity_matrix(model, features, store.videos(videos).to(device), CHUNK)
        return scores, scores

    return score


class _Best:
    """The K best candidates of each query among those seen so far."""

    def __init__(self, num_queries: int, num_best: int, device: torch.device) -> None:
        self.scores = torch.full((num_queries, num_best), float('-inf'), device=device)
        self.index = torch.zeros(num_queries, num_best, dtype=torch.int32, device=device)

    def add(self, queries: slice, scores: Tensor, first: int) -> None:
        """Add candidates `first`, `first` + 1, ... with scores [number of queries, n]."""
        candidates = torch.arange(first, first + scores.shape[1], device=scores.device)
        pool = torch.cat([self.scores[queries], scores], dim=1)
        index = torch.cat([self.index[queries], candidates.int().expand(len(scores), -1)], dim=1)
        best = pool.topk(self.scores.shape[1], dim=1)
        self.scores[queries], self.index[queries] = best.values, index.gather(1, best.indices)

    def in_order(self) -> Tensor:
        """Return the candidates by their numbers, on the CPU."""
        return self.index.sort(dim=1).values.cpu()
