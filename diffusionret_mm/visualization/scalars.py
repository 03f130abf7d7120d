"""The scalars that a training run left in its directory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

LOSS = 'loss'
Series = dict[str, dict[float, float]]


@dataclass
class TrainingScalars:
    """Scalars of a run by name; each maps epochs to values.

    Args:
        train: scalars of training steps, at fractions of epochs.
        val: scalars of validations, at whole epochs.
        stage_two: epoch at which the generators' training begins; None without that stage.
    """

    train: Series = field(default_factory=dict)
    val: Series = field(default_factory=dict)
    stage_two: float | None = None


def read_scalars(work_dir: Path) -> TrainingScalars:
    """Read the scalars of all starts of a run, as mmengine's `LocalVisBackend` writes them.

    What a resumed run did again takes the place of what it did before.

    Args:
        work_dir: directory of the run.

    Raises:
        FileNotFoundError: if it holds no scalars.
        ValueError: if a line is damaged, or no training step was logged.
    """
    paths = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
    if not paths:
        raise FileNotFoundError(
            f'{work_dir} holds no */vis_data/scalars.json: give the work dir of a training run '
            'whose visualizer has a LocalVisBackend.'
        )
    lines = [line for path in paths for line in _read_lines(path)]
    steps = [line for line in lines if 'iter' in line and LOSS in line]
    if not steps:
        raise ValueError(f'{work_dir}: no training step was logged in {paths[0]} and the like.')
    # The last iteration of an epoch divides to the number of iterations of one, others to less.
    iterations = max(line['iter'] / line['epoch'] for line in steps)
    scalars = TrainingScalars()
    for line in lines:
        if 'iter' not in line:
            _add(scalars.val, line['step'], line)
        elif LOSS in line:
            _add(scalars.train, line['iter'] / iterations, line)
    scalars.stage_two = _start_of_stage_two(scalars.train, iterations)
    if scalars.stage_two is not None:
        _end_stage_one(scalars.train, scalars.stage_two)
    return scalars


def _read_lines(path: Path) -> list[dict[str, float]]:
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), start=1):
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError as error:
            raise ValueError(
                f'{path}, line {number} is damaged ({error}); delete it to draw the others.'
            ) from None
    return lines


def _add(series: Series, epoch: float, line: dict[str, float]) -> None:
    for name, value in line.items():
        series.setdefault(name, {})[epoch] = value


def _end_stage_one(train: Series, epoch: float) -> None:
    """Drop the losses of stage one from stage two, where the logger repeats their last values."""
    for name in train:
        if name.startswith('loss_') and 'generation' not in name:
            train[name] = {at: value for at, value in train[name].items() if at <= epoch}


def _start_of_stage_two(train: Series, iterations: float) -> float | None:
    """The end of the epoch before the first logged loss of the generators."""
    epochs = [epoch for name in train if 'loss_generation' in name for epoch in train[name]]
    return float(int(min(epochs) - 0.5 / iterations)) if epochs else None
