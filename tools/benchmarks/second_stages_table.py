"""The tables of second_stages.py: R@1 by set, how good a second stage is alone, and intervals."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffusionret_mm.evaluation.bootstrap import bootstrap_interval
from diffusionret_mm.evaluation.tables import Column, format_markdown_table

Figures = Sequence[Mapping[str, Any]]  # of one row, by seed
DIRECTIONS = ('t2v', 'v2t')


def write_tables(path: Path, rows: Mapping[str, Figures]) -> str:
    """Write all tables as markdown.

    Args:
        path: file to write.
        rows: figures of each row and seed, as `measure` of second_stages.py writes them.

    Returns:
        What was written.
    """
    parts = [_gains(rows), _alone(rows), _intervals(rows), f'Chosen on val: {choose(rows)}.\n']
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(parts))
    return path.read_text()


def choose(rows: Mapping[str, Figures]) -> str:
    """Name of the row with the largest mean of R@1 on the validation split."""
    return max(rows, key=lambda name: sum(map(statistics.fmean, _recalls(rows[name], 'val', ''))))


def _gains(rows: Mapping[str, Figures]) -> str:
    """R@1 of the similarity, and what each second stage adds to it, t2v / v2t."""
    sets = [name for name in next(iter(rows.values()))[0] if name != 'cost']
    cells = [['similarity alone', '', '', *(_similarity(rows, name) for name in sets)]]
    for row, figures in rows.items():
        parameters = figures[0]['cost']['parameters']
        costs = f'{parameters / 1e3:.0f} k', _pair(_cost(figures), '{:.2f}')
        cells.append([row, *costs, *(_pair(_differences(figures, name)) for name in sets)])
    names = ['second stage', 'parameters', 'ms per query', *sets]
    return format_markdown_table([*map(Column, names)], cells)


def _alone(rows: Mapping[str, Figures]) -> str:
    """The second stage without the similarity, and how sure both are, on the test split."""
    wanted = {
        'R@1 alone': ('generation', 'R@1'),
        'R@1 of one draw, alone': ('one_draw', 'R@1'),
        'NLL': ('', 'NLL'),
        'ECE, %': ('', 'ECE'),
        'no match, AUROC, %': ('', 'NM-AUROC'),
    }
    cells = []
    for row, figures in rows.items():
        metrics = [each['test']['metrics'] for each in figures]
        cells.append([row, *(_mean(metrics, *key) for key in wanted.values())])
    return format_markdown_table([*map(Column, ['second stage, test split', *wanted])], cells)


def _intervals(rows: Mapping[str, Figures]) -> str:
    """The mean gain over the seeds, and its interval over scenes."""
    sets = ('test', 'fresh')
    cells = []
    for row, figures in rows.items():
        cells.append([row, *(_interval(figures, name, way) for name in sets for way in DIRECTIONS)])
    names = ['second stage', *(f'{name}, {way}' for name in sets for way in DIRECTIONS)]
    return format_markdown_table([*map(Column, names)], cells)


def _interval(figures: Figures, name: str, direction: str) -> str:
    gains = np.mean([each[name]['gains'][direction] for each in figures], axis=0)
    scenes = np.asarray(figures[0][name]['scenes'][direction])
    low, high = bootstrap_interval(gains, scenes)
    return f'{gains.mean():+.2f} ({low:+.2f} to {high:+.2f})'


def _recalls(figures: Figures, name: str, ranking: str) -> Iterator[list[float]]:
    start = f'{ranking}/' if ranking else ''
    for direction in DIRECTIONS:
        yield [each[name]['metrics'][f'{start}{direction}/R@1'] for each in figures]


def _similarity(rows: Mapping[str, Figures], name: str) -> str:
    figures = next(iter(rows.values()))
    return _pair(list(_recalls(figures, name, 'discrimination')), '{:.2f}')


def _differences(figures: Figures, name: str) -> list[list[float]]:
    both = zip(_recalls(figures, name, ''), _recalls(figures, name, 'discrimination'), strict=True)
    return [[a - b for a, b in zip(*values, strict=True)] for values in both]


def _cost(figures: Figures) -> list[list[float]]:
    return [[min(each['cost'][f'{direction}_ms'] for each in figures)] for direction in DIRECTIONS]


def _mean(metrics: Sequence[Mapping[str, float]], ranking: str, name: str) -> str:
    """Means of both directions; a dash where the second stage has no such figure."""
    start = f'{ranking}/' if ranking else ''
    keys = [f'{start}{direction}/{name}' for direction in DIRECTIONS]
    if keys[0] not in metrics[0]:
        return '-'
    return ' / '.join(f'{statistics.fmean(each[key] for each in metrics):.2f}' for key in keys)


def _pair(values: Sequence[Sequence[float]], form: str = '{:+.2f}') -> str:
    """Mean of t2v and of v2t, each with its standard deviation if there are several seeds."""
    parts = []
    for each in values:
        spread = f' ± {statistics.stdev(each):.2f}' if len(each) > 1 else ''
        parts.append(form.format(statistics.fmean(each)) + spread)
    return ' / '.join(parts)
