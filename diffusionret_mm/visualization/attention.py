"""What a text reads in a video: attention over its frames, and the weights of words and frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

WORD_HEIGHT = 0.19  # inches
STRIP_WIDTH = 6.4  # inches; gives frames their proportions at the width of the bars


@dataclass(frozen=True)
class WordFrameMatch:
    """What weighted token interaction makes of a text and a video.

    Args:
        words: the L tokens of the text.
        cosines: cosine of each word and frame, [L, F].
        word_weights: shape [L], sum 1.
        frame_weights: shape [F], sum 1.
    """

    words: Sequence[str]
    cosines: np.ndarray
    word_weights: np.ndarray
    frame_weights: np.ndarray


def draw_attention(
    text: str,
    frames: np.ndarray,
    attention: np.ndarray | None = None,
    match: WordFrameMatch | None = None,
) -> Figure:
    """Draw a video as one text sees it (DiffusionRet, supplement, Figure B).

    Args:
        text: the text.
        frames: the F real frames of the video, RGB, [F, H, W, 3], uint8.
        attention: text-frame attention, [F], if the model has it.
        match: word and frame weights, if the model has them.

    Raises:
        ValueError: if there is neither, or they are of another number of frames.
    """
    if attention is None and match is None:
        raise ValueError('There is neither attention nor a match of words and frames to draw.')
    _check_frames(len(frames), attention, match)
    num_words = len(match.words) if match else 0
    shown = min(len(frames), 2 * style.MAX_FRAMES)
    strip = min(1.2, STRIP_WIDTH / shown * frames.shape[1] / frames.shape[2])
    heights = [strip, 0.8, WORD_HEIGHT * num_words] if match else [strip, 0.8]
    figure = style.new_figure(height=1.1 + sum(heights))
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[4, 1])
    _draw_frames(figure, grid[0, 0], frames)
    bars = figure.add_subplot(grid[1, 0])
    _draw_frame_weights(bars, len(frames), attention, match)
    legend = figure.add_subplot(grid[1, 1])
    legend.axis('off')
    legend.legend(*bars.get_legend_handles_labels(), fontsize=style.SMALL, frameon=False, loc=6)
    if match:
        heat = figure.add_subplot(grid[2, 0], sharex=bars)
        _draw_cosines(heat, match)
        _draw_word_weights(figure.add_subplot(grid[2, 1], sharey=heat), match)
    figure.suptitle(
        style.wrapped(text, 110), fontsize=style.NORMAL, x=0.01, ha='left', parse_math=False
    )
    return figure


def _draw_frames(figure: Figure, place: SubplotSpec, frames: np.ndarray) -> None:
    """Images side by side, each at the place of its bar where there is room for all."""
    axes = figure.add_subplot(place)
    axes.imshow(style.strip(frames, 2 * style.MAX_FRAMES), interpolation='antialiased')
    axes.axis('off')
    # Many share the width of the bars, each above its own; a few would be stretched.
    axes.set_aspect('auto' if len(frames) > 4 else 'equal')


def _draw_frame_weights(
    axes: Axes, num_frames: int, attention: np.ndarray | None, match: WordFrameMatch | None
) -> None:
    series = []
    if attention is not None:
        series.append(('text-frame attention', attention, style.ORANGE))
    if match:
        series.append(('frame weight of WTI', match.frame_weights, style.BLUE))
    width = 0.8 / len(series)
    for number, (label, values, colour) in enumerate(series):
        offset = (number - (len(series) - 1) / 2) * width
        axes.bar(np.arange(num_frames) + offset, values, width, color=colour, label=label)
    axes.set_ylabel('weight', fontsize=style.SMALL)
    axes.set_ylim(bottom=0)
    axes.set_xlim(-0.5, num_frames - 0.5)
    axes.set_xticks(range(num_frames) if num_frames <= 16 else style.evenly(num_frames, 9))
    axes.set_xticklabels([f'{int(tick) + 1}' for tick in axes.get_xticks()])
    axes.set_xlabel('' if match else 'frame', fontsize=style.SMALL)
    style.hide_box(axes)


def _draw_cosines(axes: Axes, match: WordFrameMatch) -> None:
    shown = axes.imshow(match.cosines, aspect='auto', cmap='cividis', interpolation='nearest')
    axes.set_yticks(range(len(match.words)), match.words, parse_math=False)
    axes.set_xlabel('frame', fontsize=style.SMALL)
    axes.tick_params(labelsize=style.SMALL, length=0)
    bar = axes.figure.colorbar(shown, ax=axes, location='bottom', pad=0.02, aspect=40, shrink=0.6)
    bar.set_label('cosine of word and frame', fontsize=style.SMALL)
    bar.ax.tick_params(labelsize=style.SMALL)


def _draw_word_weights(axes: Axes, match: WordFrameMatch) -> None:
    axes.barh(range(len(match.words)), match.word_weights, color=style.BLUE, height=0.7)
    axes.tick_params(labelleft=False)
    axes.set_xlabel('word weight\nof WTI', fontsize=style.SMALL)
    style.hide_box(axes)


def _check_frames(
    num_frames: int, attention: np.ndarray | None, match: WordFrameMatch | None
) -> None:
    counts = {'attention': None if attention is None else len(attention)}
    if match:
        counts['frame_weights'] = len(match.frame_weights)
        counts['cosines'] = match.cosines.shape[1]
    for name, count in counts.items():
        if count not in (None, num_frames):
            raise ValueError(f'{name} is of {count} frames, but {num_frames} frames are given.')
