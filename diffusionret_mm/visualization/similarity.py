"""The similarity matrix, and what its entries are of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CELLS = 250  # a side; more would not be seen


def draw_similarity(scores: np.ndarray, video_of_text: np.ndarray) -> Figure:
    """Draw the matrix of all texts and videos, and the scores of right and wrong pairs.

    Args:
        scores: scores of N texts and M videos, [N, M].
        video_of_text: column of the right video of each text, [N], integer.

    Raises:
        ValueError: if the shapes do not belong together or there are fewer than two videos.
    """
    if scores.ndim != 2 or video_of_text.shape != scores.shape[:1] or scores.shape[1] < 2:
        raise ValueError(
            f'scores {list(scores.shape)} must be [N, M] with two videos or more, and '
            f'video_of_text {list(video_of_text.shape)} [N].'
        )
    figure = style.new_figure(height=3.4)
    left, right = figure.subplots(1, 2, width_ratios=[1.15, 1])
    _draw_matrix(left, scores)
    _draw_pairs(right, scores, video_of_text)
    return figure


def _draw_matrix(axes: Axes, scores: np.ndarray) -> None:
    rows, columns = (style.evenly(length, MAX_CELLS) for length in scores.shape)
    low, high = np.quantile(scores[np.ix_(rows, columns)], [0.01, 0.999])
    shown = axes.imshow(
        scores[np.ix_(rows, columns)],
        aspect='auto',
        cmap='cividis',
        vmin=low,
        vmax=high,
        interpolation='nearest',
        extent=(0.5, scores.shape[1] + 0.5, scores.shape[0] + 0.5, 0.5),
    )
    axes.set_xlabel('video', fontsize=style.SMALL)
    axes.set_ylabel('text, in the order of the videos', fontsize=style.SMALL)
    axes.tick_params(labelsize=style.SMALL)
    style.title(axes, f'Similarity of {scores.shape[0]:,} texts and {scores.shape[1]:,} videos')
    axes.figure.colorbar(shown, ax=axes, extend='both').ax.tick_params(labelsize=style.SMALL)


def _draw_pairs(axes: Axes, scores: np.ndarray, video_of_text: np.ndarray) -> None:
    rows = np.arange(len(scores))
    right = scores[rows, video_of_text]
    others = scores.copy()
    others[rows, video_of_text] = -np.inf
    hardest = others.max(axis=1)
    edges = np.histogram_bin_edges(np.concatenate([right, hardest]), bins=40)
    share = np.full(len(rows), 100 / len(rows))
    axes.hist(hardest, edges, weights=share, color=style.GREY, label='best wrong video')
    axes.hist(
        right, edges, weights=share, histtype='step', color=style.TRUTH, linewidth=2,
        label='right video',
    )  # fmt: skip
    axes.set_xlabel('similarity', fontsize=style.SMALL)
    axes.set_ylabel('texts, %', fontsize=style.SMALL)
    axes.legend(fontsize=style.SMALL, frameon=False, loc='upper left')
    style.title(axes, 'Of each text')
    style.hide_box(axes)
