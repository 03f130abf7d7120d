"""Spans of the same video: a few in a shortlist, and neighbours as one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from diffusionret_mm.search.snapshot import FoundSpan

# Spans of a video that are shown, and re-ranked before those of others: a long film must not fill
# the shortlist.
SPANS_PER_VIDEO = 3
# Seconds: spans overlap that share more.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Moment:
    """A span, or several of a video that overlap.

    Args:
        best: place of the best span.
        start: second at which the first one begins.
        end: second at which the last one ends.
    """

    best: int
    start: float
    end: float


def best_first(scores: Sequence[float]) -> list[int]:
    """Return the places of all scores, the best first; equal ones in their order."""
    return sorted(range(len(scores)), key=lambda place: -scores[place])


def best_of_each_video(videos: Sequence[Hashable], scores: Sequence[float]) -> list[int]:
    """Choose the best spans of each video.

    Args:
        videos: what tells the videos of C spans apart.
        scores: their C scores.

    Returns:
        Places of at most `SPANS_PER_VIDEO` spans per video, the best first.
    """
    counts: Counter[Hashable] = Counter()
    chosen = []
    for place in best_first(scores):
        counts[videos[place]] += 1
        if counts[videos[place]] <= SPANS_PER_VIDEO:
            chosen.append(place)
    return chosen


def first_videos(videos: Sequence[Hashable], order: Sequence[int], count: int) -> list[int]:
    """Keep the spans of the videos that the first moments are of.

    Args:
        videos: what tells the videos of C spans apart.
        order: what `best_of_each_video` returned.
        count: number of moments that are wanted.

    Returns:
        The places of the order that may be in the first `count` moments.
    """
    # A moment has at most so many of these spans, so each of the first moments begins before.
    first = {videos[place] for place in order[: SPANS_PER_VIDEO * count]}
    return [place for place in order if videos[place] in first]


def join_neighbours(spans: Mapping[int, FoundSpan], order: Sequence[int]) -> list[Moment]:
    """Join the spans of a video that overlap.

    Shots touch and are not joined: a cut lies between them.

    Args:
        spans: spans by place.
        order: places of those to join, the best first.

    Returns:
        The moments, in the order of their best spans.
    """
    rank = {place: number for number, place in enumerate(order)}
    moments: list[Moment] = []
    path = None
    for place in sorted(order, key=lambda place: (spans[place].path, spans[place].start)):
        span = spans[place]
        if span.path == path and span.start < moments[-1].end - TOLERANCE:
            last = moments.pop()
            best = min(last.best, place, key=rank.__getitem__)
            moments.append(Moment(best, last.start, max(last.end, span.end)))
        else:
            moments.append(Moment(place, span.start, span.end))
        path = span.path
    return sorted(moments, key=lambda moment: rank[moment.best])
