"""Training curves of both stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionret_mm.visualization import style
from diffusionret_mm.visualization.scalars import TrainingScalars

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RECALLS = {
    'discrimination/t2v/R@1': ('text → video, similarity', style.BLUE, '--'),
    't2v/R@1': ('text → video, final', style.BLUE, '-'),
    'discrimination/v2t/R@1': ('video → text, similarity', style.ORANGE, '--'),
    'v2t/R@1': ('video → text, final', style.ORANGE, '-'),
}
COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.GREY)


def draw_curves(scalars: TrainingScalars) -> Figure:
    """Draw losses, R@1 of the validations and learning rates over the epochs.

    Args:
        scalars: scalars of a run of one stage or both.
    """
    figure = style.new_figure(height=6.2)
    losses, recalls, rates = figure.subplots(3, 1, sharex=True, height_ratios=[1.2, 1.2, 0.7])
    _draw_losses(losses, scalars)
    _draw_recalls(recalls, scalars)
    _draw_rates(rates, scalars)
    rates.set_xlabel('epoch', fontsize=style.SMALL)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        style.hide_box(axes)
        if scalars.stage_two:
            axes.axvline(scalars.stage_two, color='black', linewidth=1, linestyle=':')
        axes.set_xlim(left=0)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(
                fontsize=style.SMALL, frameon=False, loc='upper left', bbox_to_anchor=(1.01, 1.0)
            )
    if scalars.stage_two:
        losses.annotate(
            'generation begins', (scalars.stage_two, 1.0), (3, 2), fontsize=style.SMALL,
            xycoords=('data', 'axes fraction'), textcoords='offset points',
        )  # fmt: skip
    return figure


def _draw_losses(axes: Axes, scalars: TrainingScalars) -> None:
    names = [name for name in scalars.train if name.startswith('loss_')] or ['loss']
    for name, colour in zip(names, COLOURS, strict=False):
        _plot(axes, scalars.train[name], label=name.removeprefix('loss_'), color=colour)
    axes.set_yscale('log')
    style.title(axes, 'Training losses (log scale)')


def _draw_recalls(axes: Axes, scalars: TrainingScalars) -> None:
    for name, (label, colour, line) in RECALLS.items():
        if name in scalars.val:
            _plot(
                axes, scalars.val[name], label=label, color=colour, linestyle=line, marker='o',
                markersize=3,
            )  # fmt: skip
    style.title(axes, 'R@1 of the validation split, %')


def _draw_rates(axes: Axes, scalars: TrainingScalars) -> None:
    _plot(axes, scalars.train.get('lr', {}), color='black')
    style.title(axes, 'Learning rate of the first parameter group')


def _plot(axes: Axes, series: dict[float, float], **options: object) -> None:
    epochs = sorted(series)
    axes.plot(epochs, [series[epoch] for epoch in epochs], **options)
