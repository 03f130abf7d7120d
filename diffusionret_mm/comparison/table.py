"""Records of runs as one table: markdown, CSV and a plot."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusionret_mm.evaluation.tables import Column, escape_markdown, format_markdown_table

METRICS = tuple(
    f'{direction}/{name}' for direction in ('t2v', 'v2t') for name in ('R@1', 'R@5', 'MnR')
)
PLOTTED = ('t2v/R@1', 'v2t/R@1')
COSTS = {
    'train_s': 'train, s',
    'train_cpu_s': 'train, CPU s',
    'test_s': 'test, s',
    'test_cpu_s': 'test, CPU s',
}


@dataclass(frozen=True)
class Row:
    """One method of the table.

    Args:
        name: name of the method.
        seeds: seeds of its finished runs.
        values: values of each metric and cost, one per run.
    """

    name: str
    seeds: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]

    def mean(self, key: str) -> float:
        """Mean over the runs."""
        return statistics.fmean(self.values[key])

    def spread(self, key: str) -> float | None:
        """Standard deviation over the runs (n - 1 in the denominator); None of a single run."""
        values = self.values[key]
        return statistics.stdev(values) if len(values) > 1 else None


def summarise(name: str, records: Sequence[Mapping[str, Any]]) -> Row:
    """Make the row of a method.

    Args:
        name: name of the method.
        records: records of its finished runs, one or more: `seed`, `metrics` and `costs`, as
            `run_seed` gives them.

    Raises:
        KeyError: if a record lacks a metric of the table.
    """
    values = {key: tuple(record['metrics'][key] for record in records) for key in METRICS}
    for key in records[0]['costs']:
        values[key] = tuple(record['costs'][key] for record in records)
    return Row(name, tuple(record['seed'] for record in records), values)


def write_markdown(path: Path, rows: Sequence[Row], note: str = '') -> str:
    """Write the table for the reader: mean ± standard deviation.

    Args:
        path: file to write.
        rows: the methods.
        note: a line below the table.

    Returns:
        What was written.
    """
    memory = _memory_key(rows)
    names = ['method', 'seeds', *METRICS, 'parameters, M', *COSTS.values(), _MEMORY[memory]]
    text = format_markdown_table([*map(Column, names)], [_cells(row, memory) for row in rows])
    text += (
        '\nR@k in %, MnR a rank; mean ± standard deviation over the seeds (n - 1). Training '
        'without its validations; the memory is the largest of the runs, training and test.\n'
    )
    text += f'{escape_markdown(note)}\n' if note else ''
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return text


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write every run, and the mean and the standard deviation of each method.

    Args:
        path: file to write.
        rows: the methods.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = list(dict.fromkeys(key for row in rows for key in row.values))
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['method', 'seed', *keys])
        for row in rows:
            for index, seed in enumerate(row.seeds):
                runs = (row.values.get(key, ()) for key in keys)
                writer.writerow([row.name, seed, *(run[index] if run else '' for run in runs)])
            for label, value in (('mean', row.mean), ('std', row.spread)):
                cells = (value(key) if key in row.values else None for key in keys)
                writer.writerow([row.name, label, *('' if c is None else c for c in cells)])


def write_plot(path: Path, rows: Sequence[Row]) -> None:
    """Draw R@1 in both directions: one dot per run, a line at the mean.

    Args:
        path: file to write; its ending is the format.
        rows: the methods.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path.parent.mkdir(parents=True, exist_ok=True)
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    for axes, key in zip(figure.subplots(1, 2, sharey=True), PLOTTED, strict=True):
        for height, row in enumerate(rows):
            values = row.values[key]
            axes.plot(values, [height] * len(values), 'o', color='C0', alpha=0.6)
            axes.plot([row.mean(key)], [height], '|', color='C1', markersize=18, markeredgewidth=2)
        axes.set_title(f'{key} (%), dots: seeds, line: mean', fontsize='medium')
        axes.grid(axis='x', alpha=0.3)
        axes.set_yticks(range(len(rows)), [row.name for row in rows], parse_math=False)
    axes.invert_yaxis()  # both share it
    figure.savefig(path, dpi=150)


_MEMORY = {'memory_mb': 'peak memory, MiB', 'gpu_memory_mb': 'peak GPU memory, MiB'}


def _memory_key(rows: Sequence[Row]) -> str:
    """Memory of the GPU where every run had one."""
    on_gpu = all('gpu_memory_mb' in row.values for row in rows)
    return 'gpu_memory_mb' if on_gpu else 'memory_mb'


def _cells(row: Row, memory: str) -> list[str]:
    costs = [f'{row.mean("parameters") / 1e6:.2f}', *(f'{row.mean(key):.1f}' for key in COSTS)]
    seeds = ' '.join(map(str, row.seeds))
    metrics = (_mean_and_spread(row, key) for key in METRICS)
    return [escape_markdown(row.name), seeds, *metrics, *costs, f'{max(row.values[memory]):.0f}']


def _mean_and_spread(row: Row, key: str) -> str:
    spread = row.spread(key)
    return f'{row.mean(key):.2f}' + ('' if spread is None else f' ± {spread:.2f}')
