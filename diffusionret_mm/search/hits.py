"""Results of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np

from diffusionret_mm.search.fusion import Said, fuse
from diffusionret_mm.search.grouping import (
    TOLERANCE,
    Moment,
    best_first,
    best_of_each_video,
    first_videos,
    join_neighbours,
)
from diffusionret_mm.search.snapshot import Candidates, FoundSpan
from diffusionret_mm.search.subtitles import Matches


@dataclass(frozen=True)
class Hit:
    """A moment of a video that a search has found.

    Args:
        rank: place in the final order, from 1.
        video: absolute path of the video.
        start: second at which it begins.
        end: second at which it ends; of a whole video its duration, 0 if that is unknown.
        similarity: the model's similarity, of the best span of several that were joined.
        generator: what the model's re-ranking adds to it; None where it adds nothing.
        score: the sum of both, which is ranked by; where subtitles are searched, `rank` is that of
            the fused rankings.
        span: the best span.
        subtitle: the line of its subtitles with most of the sentence's words; None if the subtitles
            do not fit the sentence.
        probability: that of the best span, if any of those that were re-ranked fits; they sum to 1
            over these. None: it was not re-ranked, or the model is not calibrated.
    """

    rank: int
    video: str
    start: float
    end: float
    similarity: float
    generator: float | None
    score: float
    span: FoundSpan
    subtitle: str | None = None
    probability: float | None = None


@dataclass(frozen=True)
class SentenceHit:
    """A sentence that describes a video.

    Args:
        rank: place in the final order, from 1.
        item: the sentence.
        similarity: the model's similarity.
        generator: what the model's re-ranking adds to it; None where it adds nothing.
        score: what is ranked by: the sum of both.
        probability: as of `Hit`.
    """

    rank: int
    item: str
    similarity: float
    generator: float | None
    score: float
    probability: float | None = None


HitT = TypeVar('HitT', Hit, SentenceHit)


@dataclass(frozen=True)
class SearchResult(Generic[HitT]):
    """The results for one query.

    Args:
        query: the sentence, or the path of the video.
        hits: the best results, the best first.
        seconds: time of each step; of the first the mean over the queries of its batch.
        confidence: probability that anything that was re-ranked fits; None if the model has none.
        no_match: whether hits were left out because the confidence is too low.
    """

    query: str
    hits: list[HitT]
    seconds: dict[str, float] = field(default_factory=dict)
    confidence: float | None = None
    no_match: bool = False


@dataclass(frozen=True)
class Scores:
    """Scores of C candidates.

    Args:
        similarity: the model's similarities, by place.
        final: the scores, by place.
        added: what re-ranking adds to candidates, by place.
        said: what is said in some of them, if that is searched, too.
        probability: that of candidates, by place, of a calibrated model.
        confidence: as of `SearchResult`.
    """

    similarity: list[float]
    final: list[float]
    added: Mapping[int, float] = field(default_factory=dict)
    said: Said | None = None
    probability: Mapping[int, float] = field(default_factory=dict)
    confidence: float | None = None

    @property
    def ranked_by(self) -> list[float]:
        """What is ranked by, by place."""
        return self.final if self.said is None else self.said.ranked_by

    def fused_with(self, matches: Matches, sentence: str, rows: np.ndarray) -> Scores:
        """Return the same scores, ranked by what is said, too; themselves if nothing fits.

        Args:
            matches: spans that are all among the candidates.
            sentence: what they were found by.
            rows: rows of the candidates, [C].
        """
        if not matches.texts:
            return self
        place_of = {row: place for place, row in enumerate(rows.tolist())}
        places = [place_of[row] for row in matches.rows.tolist()]
        texts = dict(zip(places, matches.texts, strict=True))
        return replace(self, said=Said(sentence, texts, fuse(self.final, places)))

    def of(self, place: int) -> tuple[float, float | None, float]:
        """Return similarity, what re-ranking adds, and the score of a candidate."""
        return self.similarity[place], self.added.get(place), self.final[place]


def hide_unsure(result: SearchResult[Hit], least: float | None) -> SearchResult[Hit]:
    """Leave out the hits of a result whose confidence is too low.

    Those in which the sentence is said stay: the confidence knows the pictures alone.

    Args:
        result: of a model that has a confidence, if `least` is given.
        least: the least confidence; None: all hits stay.
    """
    if least is None or result.confidence is None or result.confidence >= least:
        return result
    said = [hit for hit in result.hits if hit.subtitle is not None]
    return replace(result, hits=said, no_match=True)


def moment_hits(candidates: Candidates, scores: Scores, top_k: int, each_alone: bool) -> list[Hit]:
    """Put the best moments into order: a few spans of each video, neighbours as one.

    Args:
        candidates: the C candidates.
        scores: their scores.
        top_k: number of results.
        each_alone: whether to show all spans, each alone.
    """
    if each_alone:
        places = best_first(scores.ranked_by)[:top_k]
    else:
        best = best_of_each_video(candidates.videos, scores.ranked_by)
        places = first_videos(candidates.videos, best, top_k)
    # What the others are need not be read.
    spans = dict(zip(places, candidates.at(places), strict=True))
    if each_alone:
        found = [Moment(place, span.start, span.end) for place, span in spans.items()]
    else:
        found = join_neighbours(spans, places)[:top_k]
    return [
        Hit(
            rank,
            spans[moment.best].path,
            moment.start,
            moment.end,
            *scores.of(moment.best),
            span=spans[moment.best],
            subtitle=_line_of(moment, spans, scores.said),
            probability=scores.probability.get(moment.best),
        )
        for rank, moment in enumerate(found, start=1)
    ]


def joined(hits: Sequence[Hit], top_k: int) -> list[Hit]:
    """Join spans that were found: a few of each video, neighbours as one.

    Args:
        hits: spans, each alone, the best first.
        top_k: number of results.
    """
    best = best_of_each_video([hit.video for hit in hits], range(len(hits), 0, -1))
    spans = {place: hits[place].span for place in best}
    found = join_neighbours(spans, best)[:top_k]
    return [
        replace(
            hits[moment.best],
            rank=rank,
            start=moment.start,
            end=moment.end,
            subtitle=_first_line(moment, hits, best),
        )
        for rank, moment in enumerate(found, start=1)
    ]


def _first_line(moment: Moment, hits: Sequence[Hit], places: Sequence[int]) -> str | None:
    """Return the line of the best span in a moment that has one."""
    video = hits[moment.best].video
    for hit in (hits[place] for place in places):
        is_inside = moment.start <= hit.start and hit.end <= moment.end
        if hit.video == video and is_inside and hit.subtitle is not None:
            return hit.subtitle
    return None


def _line_of(moment: Moment, spans: Mapping[int, FoundSpan], said: Said | None) -> str | None:
    """Return the line that fits best of those of the spans in a moment."""
    if said is None:
        return None
    path = spans[moment.best].path
    start, end = moment.start - TOLERANCE, moment.end + TOLERANCE
    for place in said.texts:
        span = spans.get(place)
        if span is not None and span.path == path and start <= span.start and span.end <= end:
            return said.line(place)
    return None


def sentence_hits(sentences: Sequence[str], scores: Scores, top_k: int) -> list[SentenceHit]:
    """Put the best sentences into order."""
    return [
        SentenceHit(rank, sentences[place], *scores.of(place), scores.probability.get(place))
        for rank, place in enumerate(best_first(scores.final)[:top_k], start=1)
    ]
