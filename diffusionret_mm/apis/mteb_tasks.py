"""The tasks of the installed mteb that a retriever of texts and videos can do."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from diffusionret_mm.apis.mteb import DIRECTIONS, EXTRA, TextVideoEncoder
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.extras import import_extra

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask

TASK_TYPE = 'Any2AnyRetrieval'
# Columns of the table of results, and what mteb calls them.
METRICS = {
    'nDCG@10': 'ndcg_at_10',
    'R@1': 'recall_at_1',
    'R@5': 'recall_at_5',
    'R@10': 'recall_at_10',
}
NOTE = 'mteb has splits of its own: its MSRVTT has 879 clips and is not MSR-VTT 1k-A.'


def video_tasks() -> list[AbsTask]:
    """Return mteb's retrieval tasks from text to video and back, by name.

    Raises:
        ModuleNotFoundError: if mteb is not installed.
    """
    mteb = import_extra('mteb', EXTRA)
    with _without_warnings():  # one for each task in beta; the list says which are
        tasks = mteb.get_tasks(task_types=[TASK_TYPE], categories=[*DIRECTIONS], exclude_beta=False)
    return sorted(tasks, key=lambda task: task.metadata.name)


def list_tasks() -> str:
    """Return a table of these tasks: what they search, how many videos, where they come from."""
    columns = [*map(label, ('task', 'direction', 'state')), Column('videos'), label('data set')]
    rows = []
    for task in video_tasks():
        facts = task.metadata
        state = 'beta' if facts.is_beta else 'final'
        rows.append([facts.name, facts.category, state, _num_videos(task), facts.dataset['path']])
    return f'{format_table(columns, rows)}\n{NOTE}'


def choose_tasks(names: Sequence[str]) -> list[AbsTask]:
    """Return tasks by their names.

    Raises:
        ValueError: if there is no such task from text to video or back.
    """
    tasks = {task.metadata.name: task for task in video_tasks()}
    unknown = [name for name in names if name not in tasks]
    if unknown:
        raise ValueError(
            f'{", ".join(unknown)}: the installed mteb has no such task from text to video or '
            'back; --list names them.'
        )
    return [tasks[name] for name in names]


def run_tasks(
    model: TextVideoEncoder, tasks: Sequence[AbsTask], folder: str | os.PathLike[str]
) -> str:
    """Run tasks, and keep mteb's files of their results.

    Args:
        model: the retriever.
        tasks: from text to video or back.
        folder: where mteb keeps them, for its leaderboard too; what is there is not run again.

    Returns:
        A table of the results, in %.
    """
    mteb = import_extra('mteb', EXTRA)
    cache = mteb.ResultCache(cache_path=os.fspath(folder))
    results = mteb.evaluate(model, tasks, cache=cache)
    return format_results([(each.task_name, each.scores) for each in results.task_results])


def format_results(results: Sequence[tuple[str, dict]]) -> str:
    """Draw the table of results.

    Args:
        results: name and scores of each task; scores are lists by split, as mteb's files have them.
    """
    columns = [
        label('mteb task'),
        label('split'),
        *(Column(name, '%', number='.2f') for name in METRICS),
    ]
    rows = [
        [name, split, *(100 * part[key] for key in METRICS.values())]
        for name, scores in results
        for split, parts in scores.items()
        for part in parts
    ]
    return f'{format_table(columns, rows)}\n{NOTE}'


def _num_videos(task: AbsTask) -> int | None:
    """Number of videos of a task's first split; None if mteb does not know it."""
    splits = task.metadata.descriptive_stats or {}
    side = 'documents' if task.metadata.category == 't2v' else 'queries'
    facts = (splits.get(task.metadata.eval_splits[0]) or {}).get(f'{side}_video_statistics')
    return None if facts is None else facts['unique_videos']


@contextmanager
def _without_warnings() -> Iterator[None]:
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(disabled)
