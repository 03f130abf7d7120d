"""From features to the matrices that are ranked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_gather_object, get_dist_info
from torch import Tensor

from diffusionret_mm.models.retrievers.reranking import GeneratedCandidates
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever


def similarity_matrix(
    model: TextVideoRetriever, texts: TextFeatures, videos: VideoFeatures, chunk_size: int
) -> Tensor:
    """Score every text against every video, in blocks that bound the memory.

    The similarity chooses its blocks (`Similarity.score_gallery`). Features may lie on another
    device than the model and have half precision: what is used of them is moved and cast.

    Args:
        model: the retriever.
        texts: N texts.
        videos: M videos.
        chunk_size: texts and videos per block, where the similarity has no choice of its own; it
            changes scores by rounding only.

    Returns:
        Similarities, shape [N, M], on the device of the model.
    """
    return model.similarity.score_gallery(texts, videos, chunk_size=chunk_size)


def score_all(
    model: TextVideoRetriever, texts: TextFeatures, videos: VideoFeatures, chunk_size: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Score all texts and videos of a split by the similarity, and re-rank them.

    The queries are spread over the processes.

    Args:
        model: the retriever.
        texts: all N texts, the same on every process.
        videos: all M videos, the same on every process.
        chunk_size: texts and videos per block of the similarity.

    Returns:
        On every process: the similarity [N, M], and the final t2v [N, M] and v2t [M, N].
    """
    scores = similarity_of_all(model, texts, videos, chunk_size)
    return scores, *rerank_all(model, texts, videos, scores, scores.t())


def similarity_of_all(
    model: TextVideoRetriever, texts: TextFeatures, videos: VideoFeatures, chunk_size: int
) -> Tensor:
    """Score all texts and videos of a split by the similarity, spread over the processes.

    Arguments as of `score_all`.

    Returns:
        The similarity [N, M], on every process.
    """
    return over_ranks(
        len(texts),
        lambda rows: similarity_matrix(model, texts[rows], videos, chunk_size),
        # EMCL's scores depend on the block: the processes share whole blocks.
        block=model.similarity.block_rows,
    )


def generate_all(
    model: TextVideoRetriever,
    direction: str,
    scores: Tensor,
    queries: TextFeatures | VideoFeatures,
    candidates: VideoFeatures | TextFeatures,
    without: Tensor | None = None,
) -> GeneratedCandidates | None:
    """Ask the second stage alone, for all queries of a split, spread over the processes.

    Args:
        model: the retriever.
        direction: 't2v' or 'v2t'.
        scores: scores of the first stage, [n, C], on any device.
        queries: all n queries, the same on every process.
        candidates: all C candidates.
        without: candidates that each query does without, [n, C], bool, on the device of the scores.
            All have equally many candidates: as many as the one with the fewest, at most.

    Returns:
        Its distributions, on every process; None if it makes none.

    Raises:
        ValueError: if a query has to do without all candidates.
    """
    if not model.can_calibrate or model.num_candidates(direction) == 0:
        return None
    count = scores.shape[1] if without is None else int((~without).sum(dim=1).min())
    if count == 0:
        raise ValueError(f'A query of direction {direction} has no candidate but its answers.')

    def generate(rows: slice) -> Tensor:
        own = scores[rows]
        if without is not None:
            own = own.masked_fill(without[rows], float('-inf'))
        placed = own.to(model.similarity.placement)
        index = torch.arange(len(queries))[rows]
        found = model.generate(direction, placed, queries[rows], candidates, index, count)
        return torch.stack([value.double() for value in vars(found).values()], dim=2)

    best, *parts = over_ranks(len(queries), generate).unbind(dim=2)
    return GeneratedCandidates(best.long(), *(part.to(scores.dtype) for part in parts))


def rerank_all(
    model: TextVideoRetriever,
    texts: TextFeatures,
    videos: VideoFeatures,
    t2v: Tensor,
    v2t: Tensor,
) -> tuple[Tensor, Tensor]:
    """Re-rank the best candidates of all queries of a split, spread over the processes.

    Args:
        model: the retriever.
        texts: all N texts, the same on every process.
        videos: all M videos, the same on every process.
        t2v: scores of the first stage, [N, M], on any device.
        v2t: those of videos and texts, [M, N].

    Returns:
        On every process, the final t2v [N, M] and v2t [M, N], on the device of the model.
    """
    placement = model.similarity.placement

    def rerank(direction: str, scores: Tensor, queries: Any, candidates: Any) -> Tensor:
        index = torch.arange(len(queries))
        return over_ranks(
            len(queries),
            lambda rows: model.rerank_queries(
                direction, scores[rows].to(placement), queries[rows], candidates, index[rows]
            ),
        )

    return rerank('t2v', t2v, texts, videos), rerank('v2t', v2t, videos, texts)


def over_ranks(num_rows: int, compute: Callable[[slice], Tensor], block: int = 1) -> Tensor:
    """Compute rows of a matrix on all processes and give each process all rows.

    Args:
        num_rows: number of rows.
        compute: makes a slice of n rows, [n, C].
        block: rows that one process computes together; slices start at multiples of it.

    Returns:
        The matrix, [num_rows, C].
    """
    rank, world_size = get_dist_info()
    num_blocks = -(-num_rows // block)
    bounds = [num_blocks * part // world_size * block for part in (rank, rank + 1)]
    return concat_ranks([compute(slice(*bounds))])


def concat_ranks(parts: Sequence[Tensor]) -> Tensor:
    """Join tensors, this process's and then the other processes', in the order of the ranks.

    The parts may have any number of rows each; the result is on the device of the first.
    """
    local = torch.cat(list(parts))
    if get_dist_info()[1] == 1:
        return local
    return torch.cat([part.to(local.device) for part in all_gather_object(local.cpu())])
