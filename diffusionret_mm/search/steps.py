"""Search in three steps: pooled vectors, exact similarity, re-ranking."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.search.candidates import NUM_CANDIDATES
from diffusionret_mm.search.gallery import Gallery
from diffusionret_mm.search.grouping import best_of_each_video
from diffusionret_mm.search.hits import (
    Hit,
    Scores,
    SearchResult,
    SentenceHit,
    moment_hits,
    sentence_hits,
)
from diffusionret_mm.search.pooling import frame_weights, pool_texts, pool_videos
from diffusionret_mm.search.schema import FRAME_WEIGHTS, FRAMES, MASK
from diffusionret_mm.search.snapshot import Candidates, Snapshot
from diffusionret_mm.search.subtitles import NO_MATCHES, NUM_MATCHES
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever

CHUNK = 256
QUERY_STEPS = ('subtitles', 'similarity', 'generator')


@torch.no_grad()
def search_texts(
    model: TextVideoRetriever,
    queries: Sequence[str],
    texts: TextFeatures,
    gallery: Gallery,
    top_k: int,
    where: str | None = None,
    minus: TextFeatures | None = None,
    all_spans: bool = False,
    subtitles: bool = True,
) -> list[SearchResult[Hit]]:
    """Find videos for texts.

    The 1,000 nearest pooled vectors, or `top_k` if that is more, are scored by the model's
    similarity, and the model re-ranks the best of those, as many as it does in an evaluation: of
    each video the best three first. Every query has the same start noise, so it does not matter
    which other queries it comes with.

    In a gallery with subtitles, the spans in which most of the sentence's words are said, and more
    than half, join the candidates before they are scored, and both rankings are fused
    (`fusion.fuse`).

    Args:
        model: the retriever, in evaluation mode.
        queries: the N sentences.
        texts: their features, on the device of the model.
        gallery: where to search.
        top_k: number of results.
        where: a condition on columns of the gallery's table, in SQL; None: all spans.
        minus: one text whose scores are subtracted from those of each query: its pooled vector in
            the first step, its similarities in the second. What the model's re-ranking adds is that
            of the query alone, and nothing was calibrated for such scores: no probability is given.
        all_spans: whether to show each span alone, however many a video has.
        subtitles: whether to search the gallery's subtitles, if it has any.

    Returns:
        The results of each text, all from one version of the gallery.

    Raises:
        ValueError: if the condition is none.
    """
    start = time.perf_counter()
    pooled = pool_texts(model, texts)
    if minus is not None:
        pooled = pooled - pool_texts(model, minus)
    snapshot = gallery.latest()
    found = snapshot.candidates(pooled.cpu().numpy(), max(NUM_CANDIDATES, top_k), where)
    has_lines, count = subtitles and snapshot.subtitles is not None, max(NUM_MATCHES, top_k)
    pooled_seconds = (time.perf_counter() - start) / max(len(queries), 1)
    results = []
    for number, candidates in enumerate(found):
        text = texts[number : number + 1]
        times = [time.perf_counter()]
        said = snapshot.matches(queries[number], count, where) if has_lines else NO_MATCHES
        candidates = candidates.joined_by(said.rows)
        times.append(time.perf_counter())
        videos, scores = score_candidates(model, text, snapshot, candidates.rows, minus)
        times.append(time.perf_counter())
        preferred = _few_of_each_video(candidates, scores)
        final = _rerank(model, 't2v', scores, text, videos, preferred, is_judged=minus is None)
        final = final.fused_with(said, queries[number], candidates.rows)
        hits = moment_hits(candidates, final, top_k, all_spans or preferred is None)
        times.append(time.perf_counter())
        seconds = dict(zip(QUERY_STEPS, np.diff(times).tolist(), strict=True))
        if not has_lines:
            del seconds['subtitles']
        seconds = dict(pooled=pooled_seconds, **seconds)
        results.append(SearchResult(queries[number], hits, seconds, final.confidence))
    return results


@torch.no_grad()
def search_like(
    model: TextVideoRetriever,
    query: str,
    video: VideoFeatures,
    gallery: Gallery,
    top_k: int,
    where: str | None = None,
    all_spans: bool = False,
) -> SearchResult[Hit]:
    """Find videos like a video, by frames alone: no text, so no generator.

    The 1,000 nearest pooled vectors, or `top_k` if that is more, are scored by the mean over both
    videos' frames, weighted, of the cosine with the best frame of the other.

    Args:
        model: the retriever, in evaluation mode.
        query: path of the video.
        video: its features, one row on the device of the model.
        gallery: where to search.
        top_k: number of results.
        where: a condition on columns of the gallery's table, in SQL; None: all spans.
        all_spans: whether to show each span alone, however many a video has.

    Raises:
        ValueError: if the condition is none.
    """
    times = [time.perf_counter()]
    weights = frame_weights(model, video)
    pooled = pool_videos(video, weights).cpu().numpy()
    snapshot = gallery.latest()
    (found,) = snapshot.candidates(pooled, max(NUM_CANDIDATES, top_k), where)
    times.append(time.perf_counter())
    others, other_weights = read_videos(snapshot, found.rows)
    others, other_weights = others.to(video.frames), other_weights.to(weights)
    scores = best_frame_similarity(video, weights, others, other_weights)
    values = scores.tolist()
    each_alone = all_spans or _has_whole_videos(snapshot)
    hits = moment_hits(found, Scores(values, values), top_k, each_alone)
    times.append(time.perf_counter())
    seconds = dict(zip(('pooled', 'similarity'), np.diff(times).tolist(), strict=True))
    return SearchResult(query, hits, seconds)


@torch.no_grad()
def match_sentences(
    model: TextVideoRetriever,
    query: str,
    video: VideoFeatures,
    sentences: Sequence[str],
    texts: TextFeatures,
    top_k: int,
) -> SearchResult[SentenceHit]:
    """Find the sentences that describe a video.

    All are scored by the similarity, and the model re-ranks the best of them.

    Args:
        model: the retriever, in evaluation mode.
        query: path of the video.
        video: its features, one row on the device of the model.
        sentences: N sentences.
        texts: their features, on the device of the model.
        top_k: number of results.
    """
    scores = similarity_matrix(model, texts, video, CHUNK)[:, 0]
    final = _rerank(model, 'v2t', scores, video, texts)
    hits = sentence_hits(sentences, final, top_k)
    return SearchResult(query, hits, confidence=final.confidence)


def read_videos(snapshot: Snapshot, rows: np.ndarray) -> tuple[VideoFeatures, Tensor]:
    """Read the features of spans.

    Args:
        snapshot: a version of a gallery.
        rows: rows of the spans in it, shape [n], int64.

    Returns:
        n videos in memory, in half precision, or single from 8 bits, and the weights of their
        frames, [n, F] float32.
    """
    arrays = snapshot.read(rows, FRAMES, MASK, FRAME_WEIGHTS)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return VideoFeatures(tensors[FRAMES], tensors[MASK]), tensors[FRAME_WEIGHTS]


@torch.no_grad()
def score_candidates(
    model: TextVideoRetriever,
    text: TextFeatures,
    snapshot: Snapshot,
    rows: np.ndarray,
    minus: TextFeatures | None = None,
) -> tuple[VideoFeatures, Tensor]:
    """Score videos by the model's similarity.

    Args:
        model: the retriever, in evaluation mode.
        text: one text on the device of the model.
        snapshot: a version of a gallery.
        rows: rows of the spans in it, shape [n], int64.
        minus: one text whose similarities are subtracted.

    Returns:
        Their features, in memory, and similarities [n].
    """
    videos, weights = read_videos(snapshot, rows)
    scores = model.similarity.score_gallery(text, videos, weights, CHUNK)[0]
    if minus is not None:
        scores = scores - model.similarity.score_gallery(minus, videos, weights, CHUNK)[0]
    return videos, scores


@dataclass(frozen=True)
class Shortlist:
    """What the second step of a search hands to the third.

    Args:
        places: places of the K best candidates in the order that they were scored in, the best
            first, [K], int64.
        scores: their similarities, [1, K].
        candidates: their features, on the device of the scores.
    """

    places: Tensor
    scores: Tensor
    candidates: VideoFeatures | TextFeatures


def shortlist(
    model: TextVideoRetriever,
    direction: str,
    scores: Tensor,
    candidates: VideoFeatures | TextFeatures,
    preferred: Tensor | None = None,
) -> Shortlist:
    """Take the candidates that the model re-ranks, as many as in an evaluation.

    Args:
        model: the retriever.
        direction: 't2v' (candidates are videos) or 'v2t' (candidates are texts).
        scores: similarities of the C candidates, [C].
        candidates: their features, on any device and of any precision.
        preferred: places of those that are taken before all others, [n] int64, on the device of the
            scores; None: all are equal.
    """
    places = scores.sort(descending=True, stable=True).indices
    if preferred is not None:
        is_preferred = torch.isin(places, preferred)
        places = torch.cat([places[is_preferred], places[~is_preferred]])
    places = places[: model.num_candidates(direction)]
    chosen = candidates[places.to(candidates.mask.device)].to(scores)
    return Shortlist(places, scores[None, places], chosen)


def best_frame_similarity(
    video: VideoFeatures, weights: Tensor, others: VideoFeatures, other_weights: Tensor
) -> Tensor:
    """Compare a video with others: the weighted mean of best cosines, in both directions.

    Args:
        video: one video of F frames.
        weights: weights of its frames, [1, F].
        others: M videos.
        other_weights: weights of their frames, [M, F].

    Returns:
        Similarities in [-1, 1], [M].
    """
    own = F.normalize(video.frames[0][video.mask[0]], dim=-1)
    frames = F.normalize(others.frames, dim=-1)
    cosines = torch.einsum('gd,mfd->mgf', own, frames)
    forth = cosines.masked_fill(~others.mask[:, None], -2.0).amax(dim=2) @ weights[video.mask]
    back = (cosines.amax(dim=1) * other_weights).sum(dim=1)
    return (forth + back) / 2


def _has_whole_videos(snapshot: Snapshot) -> bool:
    """Whether each span is a video of its own."""
    return snapshot.facts.moments.kind == 'none'


def _few_of_each_video(candidates: Candidates, scores: Tensor) -> Tensor | None:
    """Return the places of the spans that are re-ranked before others; None: all are equal."""
    if _has_whole_videos(candidates.snapshot):
        return None  # so what the spans are need not be read
    best = best_of_each_video(candidates.videos, scores.tolist())
    return torch.tensor(best, dtype=torch.int64, device=scores.device)


def _rerank(
    model: TextVideoRetriever,
    direction: str,
    scores: Tensor,
    query: TextFeatures | VideoFeatures,
    candidates: VideoFeatures | TextFeatures,
    preferred: Tensor | None = None,
    is_judged: bool = True,
) -> Scores:
    """Let the model re-rank the best candidates; the others keep their similarity."""
    best = shortlist(model, direction, scores, candidates, preferred)
    if not len(best.places):
        return Scores(scores.tolist(), scores.tolist())
    index = torch.zeros(1, dtype=torch.int64)
    after = model.rerank_and_judge(direction, best.scores, query, best.candidates, index)
    final = scores.clone()
    final[best.places] = after.scores[0]
    added = _by_place(best.places, after.scores[0] - best.scores[0])
    reranked = Scores(scores.tolist(), final.tolist(), added)
    if after.judgement is None or after.best is None or not is_judged:
        return reranked
    sure, places = after.judgement, best.places[after.best[0]]
    return replace(
        reranked,
        probability=_by_place(places, sure.probabilities[0]),
        confidence=None if sure.confidence is None else sure.confidence.item(),
    )


def _by_place(places: Tensor, values: Tensor) -> dict[int, float]:
    return dict(zip(places.tolist(), values.tolist(), strict=True))
