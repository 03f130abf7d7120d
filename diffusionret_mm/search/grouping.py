"""Spans of the same video: a few in a shortlist, and neighbours as one result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffusionret_mm.search.snapshot import FoundSpan

# Spans of a video that are re-ranked and shown: a long film must not fill the shortlist.
SPANS_A_VIDEO = 3
# Seconds: spans that are no farther apart touch.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Moment:
    """A span, or several of a video that overlap or touch.

    Args:
        best: place of the best span.
        start: second at which the first one begins.
        end: second at which the last one ends.
    """

    best: int
    start: float
    end: float


def best_of_each_video(spans: Sequence[FoundSpan], scores: Tensor) -> Tensor:
    """Choose the best spans of each video.

    Args:
        spans: C spans.
        scores: their scores, [C].

    Returns:
        Places of at most `SPANS_A_VIDEO` spans per video, the best first, [K] int64.
    """
    counts: Counter[str] = Counter()
    chosen = []
    for place in scores.sort(descending=True, stable=True).indices.tolist():
        counts[spans[place].path] += 1
        if counts[spans[place].path] <= SPANS_A_VIDEO:
            chosen.append(place)
    return torch.tensor(chosen, dtype=torch.int64, device=scores.device)


def join_neighbours(spans: Sequence[FoundSpan], order: Sequence[int]) -> list[Moment]:
    """Join the spans of a video that overlap or touch.

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
        if span.path == path and span.start <= moments[-1].end + TOLERANCE:
            last = moments.pop()
            best = min(last.best, place, key=rank.__getitem__)
            moments.append(Moment(best, last.start, max(last.end, span.end)))
        else:
            moments.append(Moment(place, span.start, span.end))
        path = span.path
    return sorted(moments, key=lambda moment: rank[moment.best])
