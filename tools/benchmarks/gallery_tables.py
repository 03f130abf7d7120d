"""The tables of the benchmark of galleries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diffusionret_mm.evaluation.tables import Column, format_table, label

BUILDING = {
    'spans': 'spans',
    'drawing and pooling features, s': 'draw_s',
    'writing rows, s': 'write_s',
    'writing fragments together, index, s': 'maintain_s',
    'memory of the process that builds, at most, MB': 'build_peak_mb',
    'gallery on disk, GB': 'disk_gb',
    'of it indices, GB': 'index_gb',
    'opening, ms': 'open_ms',
    "finding the rows of a commit's files, ms": 'lookup_ms',
    'private memory of the process that searches, MB': 'search_private_mb',
}
STEPS = {
    'step 1': 'pooled',
    'step 2': 'similarity',
    'step 3': 'generator',
    'per query': 'query',
}


def format_result(figures: Mapping[str, Any]) -> str:
    """Draw all tables of a run."""
    parts = [_building(figures), _times(figures), _lengths(figures), _recalls(figures)]
    return '\n\n'.join(parts)


def _building(figures: Mapping[str, Any]) -> str:
    values = {title: figures[name] for title, name in BUILDING.items()}
    rows = [
        (title, value if isinstance(value, int) else f'{value:,.{0 if value > 99 else 3}f}')
        for title, value in values.items()
    ]
    return format_table([label('gallery'), Column('value')], rows)


def _times(figures: Mapping[str, Any]) -> str:
    """Times of each step: this search cold and warm, and FAISS with exact WTI."""
    searches = {
        'cold': {step: f'cold_{step}' for step in STEPS.values()},
        'warm': {step: f'warm_{step}' for step in STEPS.values()},
    }
    rows = []
    for title, step in STEPS.items():
        found = [(figures, searches[state][step]) for state in searches]
        rows.append((title, *_both(found), *_both([(figures['faiss'], step)])))
    if 'max_sim' in figures:
        title = f"per query, Lance's MaxSim, {figures['max_sim']['spans']:,} spans"
        rows.append((title, None, None, *_both([(figures['max_sim'], 'query')]), None, None))
    names = ('cold', 'warm', 'FAISS, warm')
    columns = [
        Column(f'{name}, {part}', 'ms', number='.1f') for name in names for part in ('p50', 'p95')
    ]
    return format_table([label('time'), *columns], rows)


def _both(found: list[tuple[Mapping[str, Any], str]]) -> list[float | None]:
    return [figures.get(f'{name}_ms_{part}') for figures, name in found for part in ('p50', 'p95')]


def _lengths(figures: Mapping[str, Any]) -> str:
    """What a number of candidates costs, and what it finds."""
    kinds = list(figures['recall'])
    columns = [
        label('candidates'),
        Column('step 1, p50', 'ms', number='.1f'),
        Column('step 2, p50', 'ms', number='.1f'),
        *(Column(kind, '%', number='.1f') for kind in kinds),
    ]
    rows = [
        (length, each['pooled_ms_p50'], each['similarity_ms_p50'], *each['recall'].values())
        for length, each in figures['lengths'].items()
    ]
    return format_table(columns, rows, "exact WTI's best 32 among the best 32, by kind of query")


def _recalls(figures: Mapping[str, Any]) -> str:
    """What each search finds."""
    kinds = list(figures['recall'])
    rows = [
        ('this search', *figures['recall'].values()),
        ('FAISS, exact WTI', *figures['faiss']['recall'].values()),
    ]
    if 'max_sim' in figures:
        rows.append(("Lance's MaxSim", *figures['max_sim']['recall'].values()))
    columns = [label('search'), *(Column(kind, '%', number='.1f') for kind in kinds)]
    return format_table(columns, rows, "exact WTI's best 32 found, by kind of query")
