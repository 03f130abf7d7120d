"""What a search has found, video by video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from diffusionret_mm.search import Hit
from diffusionret_mm.search.hits import joined


@dataclass(frozen=True)
class FoundVideo:
    """A video on the page.

    Args:
        hits: its moments, the best first.
        spans: all its spans that were scored, in their order in the video, each alone.
    """

    hits: list[Hit]
    spans: list[Hit]

    @property
    def name(self) -> str:
        """Its file name."""
        return os.path.basename(self.hits[0].video)

    def first_span(self, hit: Hit) -> str:
        """Return the id of the span that a moment of several begins with."""
        return next(span.span.id for span in self.spans if span.start == hit.start)


@dataclass(frozen=True)
class Found:
    """What the page shows of a search.

    Args:
        videos: the videos, that of the best moment first.
        confidence: probability that anything fits; None if there is none.
        no_match: whether videos were left out because the confidence is too low.
    """

    videos: list[FoundVideo]
    confidence: float | None = None
    no_match: bool = False


def by_video(spans: Sequence[Hit], top_k: int) -> list[FoundVideo]:
    """Group spans by their videos.

    Args:
        spans: all spans that were scored, each alone, the best first.
        top_k: number of moments that are shown.

    Returns:
        The videos of these moments, that of the best one first.
    """
    found: dict[str, FoundVideo] = {}
    for hit in joined(spans, top_k):
        found.setdefault(hit.video, FoundVideo([], [])).hits.append(hit)
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if span.video in found:
            found[span.video].spans.append(span)
    return list(found.values())
