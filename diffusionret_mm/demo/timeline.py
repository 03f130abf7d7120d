"""The time line of a video as HTML: a bar for each span, as high as its score."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from diffusionret_mm.demo.found import FoundVideo
from diffusionret_mm.search import Hit

LOWEST_BAR = 0.2


@dataclass(frozen=True)
class Scale:
    """Heights of bars for scores: the best one of all videos has the highest.

    Args:
        lowest: the lowest score.
        highest: the highest one.
    """

    lowest: float
    highest: float

    @classmethod
    def of(cls, found: list[FoundVideo]) -> Scale:
        """Return the scale of some videos."""
        scores = [span.score for video in found for span in video.spans] or [0.0]
        return cls(min(scores), max(scores))

    def height(self, score: float) -> float:
        """Return a height between `LOWEST_BAR` and 1."""
        width = self.highest - self.lowest
        share = (score - self.lowest) / width if width > 0 else 1.0
        return LOWEST_BAR + (1 - LOWEST_BAR) * share


def timeline(video: FoundVideo, scale: Scale) -> str:
    """Return the HTML of a time line: its bars are buttons that play their spans.

    The length of the video is that of the last span until the browser knows better. Only one bar
    is reached by Tab; the arrow keys lead to the others.

    Args:
        video: the video.
        scale: heights of scores.
    """
    first = video.first_span(video.hits[0])
    bars = [
        _bar(span, video, edges, scale.height(span.score), is_first=span.span.id == first)
        for span, edges in zip(video.spans, edges_of(video.spans), strict=True)
    ]
    seconds = max(span.end for span in video.spans)
    label = html.escape(f'Time line of {video.name}')
    return (
        f'<div class="timeline" role="group" aria-label="{label}" '
        f'style="--seconds: {seconds:.3f}">{"".join(bars)}</div>'
    )


def edges_of(spans: Sequence[Hit]) -> list[tuple[float, float]]:
    """Return where bars begin and end, in seconds; those of spans that overlap share the overlap.

    Args:
        spans: spans of a video, in order.
    """
    starts, ends = [span.start for span in spans], [span.end for span in spans]
    for number, (left, right) in enumerate(pairwise(spans)):
        if right.start < left.end:
            ends[number] = starts[number + 1] = (left.end + right.start) / 2
    return list(zip(starts, ends, strict=True))


def address(span: str, start: float, end: float) -> str:
    """Return the address of a part of a video, as players understand it.

    Args:
        span: id of a span that begins there.
        start: second at which it begins.
        end: second at which it ends; the same or less: it ends with the video.
    """
    return f'/video/{span}#t={start:.3f}' + (f',{end:.3f}' if end > start else '')


def bounds(start: float, end: float) -> str:
    """Return the attributes that tell the script of the page where a part begins and ends."""
    return f'data-start="{start:.3f}" data-end="{end:.3f}"'


def plays(span: str, start: float, end: float) -> str:
    """Return the attributes of a button that plays a part of a video; see `address`."""
    return f'type="button" data-src="{address(span, start, end)}" {bounds(start, end)}'


def times(start: float, end: float) -> str:
    """Return from when to when a span is; of one of unknown end, that it is the whole video."""
    return f'{clock(start)}–{clock(end)}' if end > start else 'whole video'


def clock(seconds: float) -> str:
    """Return a time as a player shows it, with a tenth where it is no whole second.

    Args:
        seconds: the time.

    Examples:
        >>> clock(75), clock(2.54), clock(3725)
        ('1:15', '0:02.5', '1:02:05')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minute = divmod(minutes, 60)
    second = f'{rest // 10:02d}' + (f'.{rest % 10}' if rest % 10 else '')
    return f'{hours}:{minute:02d}:{second}' if hours else f'{minute}:{second}'


def _bar(
    span: Hit, video: FoundVideo, edges: tuple[float, float], height: float, is_first: bool
) -> str:
    is_shown = any(hit.start <= span.start and span.end <= hit.end for hit in video.hits)
    label = f'{times(span.start, span.end)}, score {span.score:.3f}'
    return (
        f'<button class="bar{" shown" if is_shown else ""}" tabindex="{0 if is_first else -1}" '
        f'{plays(span.span.id, span.start, span.end)} title="{label}" aria-label="{label}" '
        f'style="--from: {edges[0]:.3f}; --to: {edges[1]:.3f}; --height: {height:.3f}"></button>'
    )
