"""A query with its best candidates, before and after re-ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROW_HEIGHT = 0.78  # inches


@dataclass(frozen=True)
class RankedVideo:
    """A candidate video of a query.

    Args:
        video_id: its name.
        frames: its real frames, RGB, [F, H, W, 3], uint8.
        similarity: its score before re-ranking.
        score: its final score.
        rank_before: its rank by the similarity, 1 is best.
        rank_after: its final rank.
        is_truth: whether it is the right one.
    """

    video_id: str
    frames: np.ndarray
    similarity: float
    score: float
    rank_before: float
    rank_after: float
    is_truth: bool


def draw_retrieval(query: str, videos: Sequence[RankedVideo]) -> Figure:
    """Draw candidates, one row each, in their final order (DiffusionRet, supplement, Figure C).

    Args:
        query: the text.
        videos: candidates, the best first.

    Raises:
        ValueError: if there is none.
    """
    if not videos:
        raise ValueError(f'There is no candidate of {query!r} to draw.')
    figure = style.new_figure(height=0.45 + ROW_HEIGHT * len(videos))
    figure.suptitle(
        f'Query: {style.wrapped(query, 105)}',
        fontsize=style.NORMAL,
        x=0.01,
        ha='left',
        parse_math=False,
    )
    places = min(style.MAX_FRAMES, max(len(video.frames) for video in videos))
    rows = figure.subplots(len(videos), 2, squeeze=False, width_ratios=[2.3, places])
    for (text, images), video in zip(rows, videos, strict=True):
        _draw_row(text, images, video, places)
    return figure


def _draw_row(text: Axes, images: Axes, video: RankedVideo, places: int) -> None:
    colour = style.TRUTH if video.is_truth else 'black'
    text.axis('off')
    style.write_text(text, 0, 0.5, f'{video.rank_after:g}', fontsize=17, va='center', color=colour)
    style.write_text(
        text, 0.3, 0.5, _description(video), fontsize=style.SMALL, va='center', color=colour
    )
    strip = style.strip(video.frames, style.MAX_FRAMES, places)
    style.show_image(images, strip, style.TRUTH if video.is_truth else 'none')


def _description(video: RankedVideo) -> str:
    lines = [
        style.wrapped(video.video_id, 20, max_lines=1),
        f'final score {video.score:.3f}',
        f'similarity {video.similarity:.3f}, rank {video.rank_before:g}',
    ]
    return '\n'.join(['ground truth', *lines] if video.is_truth else lines)
