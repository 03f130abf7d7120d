"""The diffusion process: from noise to a distribution over the candidates of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.visualization import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_STATES = 6


@dataclass(frozen=True)
class DiffusionProcess:
    """The states of one query in the reverse diffusion.

    Args:
        query: the query, in words.
        states: x_T to x_0 over K candidates, the most similar candidate first, [S + 1, K].
        times: t of each state, from T down to 0, S + 1.
        is_truth: whether each candidate is a right one, [K], bool.
        rank_before: rank of the best right candidate by the similarity.
        rank_after: its rank after re-ranking.
    """

    query: str
    states: np.ndarray
    times: Sequence[int]
    is_truth: np.ndarray
    rank_before: float
    rank_after: float


def draw_diffusion(processes: Sequence[DiffusionProcess]) -> Figure:
    """Draw x_T to x_0 over the candidates, one row per query (DiffusionRet, supplement, Figure A).

    Args:
        processes: one or more queries.

    Raises:
        ValueError: if there is none, or the shapes of one do not belong together.
    """
    if not processes:
        raise ValueError('There is no query whose diffusion could be drawn.')
    figure = style.new_figure(height=0.3 + 1.55 * len(processes))
    for part, process in zip(
        np.atleast_1d(figure.subfigures(len(processes), 1)), processes, strict=True
    ):
        _check(process)
        chosen = style.evenly(len(process.states), NUM_STATES)
        every_axes = np.atleast_1d(part.subplots(1, len(chosen)))
        part.suptitle(
            f'{style.wrapped(process.query, 105)}\n{_outcome(process)}',
            fontsize=style.NORMAL,
            x=0.01,
            ha='left',
            parse_math=False,
        )
        for axes, state in zip(every_axes, chosen, strict=True):
            _draw_state(axes, process, state)
    figure.supxlabel(
        'candidates, the most similar one left; the ground truth is green, under a triangle; '
        'each panel has its own scale',
        fontsize=style.SMALL,
    )
    return figure


def _draw_state(axes: Axes, process: DiffusionProcess, state: int) -> None:
    values = process.states[state]
    colours = np.where(process.is_truth, style.TRUTH, style.GREY)
    place = np.arange(1, len(values) + 1)
    axes.bar(place, values, width=0.9, color=colours)
    axes.axhline(0, color='black', linewidth=0.5)
    axes.set_xlim(0, len(values) + 1)
    axes.set_xticks([1, len(values)] if len(values) > 1 else [1])
    low, high = min(values.min(), 0), max(values.max(), 0)
    room = 0.12 * max(high - low, 1e-6)  # for the triangle
    axes.set_ylim(low, high + 2 * room)
    axes.set_yticks([tick for tick in (low, high) if tick], labels=None)
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:.2g}')
    tops = np.maximum(values[process.is_truth], 0) + room
    axes.plot(place[process.is_truth], tops, 'v', color=style.TRUTH, markersize=4)
    axes.set_title(f'$x_{{{process.times[state]}}}$', fontsize=style.NORMAL, pad=2)
    style.hide_box(axes)


def _outcome(process: DiffusionProcess) -> str:
    ranks = f'rank {process.rank_before:g} by similarity, {process.rank_after:g} after re-ranking'
    if process.is_truth.any():
        return f'Ground truth: {ranks}.'
    return f'Ground truth: not among the {len(process.is_truth)} candidates ({ranks}).'


def _check(process: DiffusionProcess) -> None:
    expected = (len(process.times), len(process.is_truth))
    if process.states.shape != expected:
        raise ValueError(
            f'states of query {process.query!r} have shape {list(process.states.shape)}; times and '
            f'is_truth say {list(expected)}.'
        )
