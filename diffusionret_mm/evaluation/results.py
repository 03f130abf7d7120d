"""Results for the reader: a table for the terminal and a JSON file for scripts."""

import math
import os
from collections.abc import Mapping

from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.storage.files import write_json

_DIRECTIONS = {'t2v': 'text -> video', 'v2t': 'video -> text'}
_TITLE = 'Retrieval (R@k in %, Rsum = R@1 + R@5 + R@10, MdR and MnR are ranks, 1 is best)'
# What names of metrics mean that not every table has.
_NOTES = {
    'NLL': 'NLL: mean of -log p of the right answer',
    'ECE': 'ECE: expected calibration error of the best, in %',
    'NM-AUROC': 'NM-AUROC: queries with and without an answer told apart, in %',
    'NM-ECE': 'NM-ECE: expected calibration error of the probability of an answer, in %',
    'low': 'low to high: 95 % interval of the gain, by bootstrap over groups',
}
# Behind the final ranking, what is said of it.
_LAST = ('', 'gain')


def format_metrics(metrics: Mapping[str, float]) -> str:
    """Plain-text table of flat retrieval metrics.

    Args:
        metrics: values under `<ranking>/<direction>/<name>`, or `<direction>/<name>` for the
            final ranking, with direction `t2v` or `v2t`. Other keys are left out, so an
            evaluator's whole result can be passed.

    Returns:
        A title with units, a header, and one row for each ranking and direction, the final
        ranking last. Columns come in the order of the keys; a row without a value shows `-`.

    Raises:
        ValueError: if no key belongs to a retrieval direction.

    Examples:
        >>> print(format_metrics({'t2v/R@1': 48.5, 't2v/MdR': 2.0}))
        Retrieval (R@k in %, Rsum = R@1 + R@5 + R@10, MdR and MnR are ranks, 1 is best)
                                R@1   MdR
        ---------------------------------
        final  text -> video  48.50  2.00
    """
    rows = metric_rows(metrics)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = [label(), label(), *(Column(name, number='.2f') for name in names)]
    cells = [[*labels, *(row.get(name) for name in names)] for labels, row in rows.items()]
    notes = [note for name, note in _NOTES.items() if name in names]
    return '\n'.join([format_table(columns, cells, _TITLE), *notes])


METRICS_FILE = 'metrics.json'  # of a work dir


def write_metrics(path: str | os.PathLike[str], metrics: Mapping[str, float]) -> None:
    """Save metrics as JSON, whole or not at all.

    Args:
        path: file to write; missing parent folders are made, an older file is replaced.
        metrics: values by name, kept in order and to the last bit.

    Raises:
        ValueError: if a value is NaN or infinite, which JSON cannot hold.
    """
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(f'The metric {name!r} is {value}, which JSON cannot hold.')
    values = {name: float(value) for name, value in metrics.items()}
    write_json(path, values, indent=2)


def metric_rows(metrics: Mapping[str, float]) -> dict[tuple[str, str], dict[str, float]]:
    """Arrange flat retrieval metrics.

    Args:
        metrics: as for `format_metrics`.

    Returns:
        Values by (ranking, direction) and by name, in the order of `format_metrics`.

    Raises:
        ValueError: if no key belongs to a retrieval direction.
    """
    rankings: dict[str, dict[str, dict[str, float]]] = {}
    for key, value in metrics.items():
        ranking, direction, name = _split_key(key)
        if direction in _DIRECTIONS:
            rankings.setdefault(ranking, {}).setdefault(direction, {})[name] = value
    if not rankings:
        raise ValueError(f'There are no retrieval metrics among {list(metrics)}.')
    return {
        (ranking or 'final', _DIRECTIONS[direction]): row
        for ranking in sorted(rankings, key=_place)
        for direction, row in rankings[ranking].items()
    }


def _place(ranking: str) -> int:
    return _LAST.index(ranking) if ranking in _LAST else -1


def _split_key(key: str) -> tuple[str, str, str]:
    """Ranking ('' for the final one), direction and name of a flat metric key."""
    path, _, name = key.rpartition('/')
    ranking, _, direction = path.rpartition('/')
    return ranking, direction, name
