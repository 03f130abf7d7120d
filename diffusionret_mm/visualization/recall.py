"""Recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.evaluation.ranking import Ranks
from diffusionret_mm.visualization import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_RANK = 50
DIRECTIONS = {'t2v': 'text → video', 'v2t': 'video → text'}
STYLES = {'discrimination': (style.GREY, '--'), '': (style.BLUE, '-')}
LABELS = {'discrimination': 'similarity', '': 'final ranking'}


def draw_recall(ranks: Mapping[tuple[str, str], Ranks], num_candidates: int) -> Figure:
    """Draw R@k over k.

    Args:
        ranks: ranks of all queries under (ranking, direction), with ranking 'discrimination' or '',
            the final one, and direction 't2v' or 'v2t'.
        num_candidates: size of the gallery, which bounds k.

    Raises:
        ValueError: if there are no ranks.
    """
    if not ranks:
        raise ValueError('There are no ranks to draw a recall curve of.')
    cutoffs = np.arange(1, min(MAX_RANK, num_candidates) + 1)
    figure = style.new_figure(height=2.6)
    for axes, (direction, label) in zip(
        figure.subplots(1, 2, sharey=True), DIRECTIONS.items(), strict=True
    ):
        for (ranking, own_direction), values in ranks.items():
            if own_direction != direction:
                continue
            recall = [values.recall(int(k)) for k in cutoffs]
            colour, line = STYLES[ranking]
            name = f'{LABELS[ranking]}, R@1 {recall[0]:.1f} %'
            axes.plot(cutoffs, recall, line, color=colour, linewidth=2, label=name)
        axes.set_xscale('log')
        marks = [k for k in (1, 2, 5, 10, 20, 50) if k <= cutoffs[-1]]
        axes.set_xticks(marks, [str(k) for k in marks])
        axes.set_xticks([], minor=True)
        axes.set_ylim(top=101)
        axes.grid(alpha=0.3)
        axes.set_xlabel('k', fontsize=style.SMALL)
        if axes.lines:
            axes.legend(fontsize=style.SMALL, frameon=False, loc='lower right')
        style.title(axes, label)
        style.hide_box(axes)
    figure.axes[0].set_ylabel('R@k, %', fontsize=style.SMALL)
    return figure
