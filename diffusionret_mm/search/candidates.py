"""The first step of a search: the nearest pooled vectors, by Lance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionret_mm.search.schema import POOLED
from diffusionret_mm.search.tables import Table, readable, reason_of

if TYPE_CHECKING:
    import lance
    import pyarrow

# Candidates that the second step scores, unless more results are wanted.
NUM_CANDIDATES = 1000
# Up to so many vectors are compared one by one; with more, inverted lists are made.
EXACT_ROWS = 50_000
INDEX_TYPE = 'IVF_RQ'
# One list of so many is looked into.
PROBED_SHARE = 8
# Vectors behind the index, compared one by one, before it takes them up.
ROWS_BEHIND = 4_096
# The lists are made anew once there are so many times more, or fewer, vectors per list.
RETRAIN_FACTOR = 4
INDEX = 'pooled_idx'
METRIC = 'dot'


def nearest(
    dataset: lance.LanceDataset, query: np.ndarray, count: int, lists: int, where: str | None
) -> pyarrow.Table:
    """Find the rows whose pooled vectors have the largest inner products with a query.

    Rows behind the index are among them.

    Args:
        dataset: a version of the table of spans.
        query: shape [D], float32.
        count: rows wanted, at most.
        lists: what `num_lists` returned.
        where: a condition on columns of the table, in SQL; rows that do not meet it are left out
            before vectors are compared.

    Returns:
        The columns `id` and `_rowid`, each id once.
    """
    near = dict(column=POOLED, q=query, k=count, metric=METRIC)
    # At least so many lists: with a condition, more until there are enough rows that meet it.
    near |= dict(minimum_nprobes=-(-lists // PROBED_SHARE)) if lists else dict(use_index=False)
    scanner = dataset.scanner(
        columns=['id'],  # every other column of 1,000 rows takes longer than the search itself
        nearest=near,
        filter=where,
        prefilter=True,
        with_row_id=True,
        disable_scoring_autoprojection=True,
    )
    return once_per_id(scanner.to_table())


def once_per_id(rows: pyarrow.Table) -> pyarrow.Table:
    """Return the first row of each id: two writers may have inserted the same one."""
    ids = rows['id'].to_pylist()
    if len(set(ids)) == len(ids):
        return rows
    return rows.take(list({each: place for place, each in reversed([*enumerate(ids)])}.values()))


def check_where(dataset: lance.LanceDataset, where: str) -> None:
    """Refuse a condition that the table cannot be filtered by.

    Raises:
        ValueError: if it is none; it says why.
    """
    try:
        dataset.scanner(columns=['id'], filter=where).explain_plan()  # reads no row
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f'The filter {where!r} cannot be used: {reason_of(error)}.') from error


def num_lists(dataset: lance.LanceDataset) -> int:
    """Return the number of lists of the index; 0 if there is none."""
    if not any(index.name == INDEX for index in dataset.describe_indices()):
        return 0
    return _statistics(dataset)['indices'][0]['num_partitions']


def update_index(table: Table) -> None:
    """Make the index, or let it take up rows behind it, if there is enough to do.

    Args:
        table: the table of spans.
    """
    dataset = table.open()
    with readable(table.place):
        rows, lists = dataset.count_rows(), num_lists(dataset)
        behind = _statistics(dataset)['num_unindexed_rows'] if lists else rows
    if behind <= ROWS_BEHIND or (not lists and rows <= EXACT_ROWS):
        return
    wanted = int(rows**0.5)
    if wanted / RETRAIN_FACTOR <= lists <= wanted * RETRAIN_FACTOR:
        table.change_index(lambda latest: latest.optimize.optimize_indices())
    else:
        table.change_index(lambda latest: _make_index(latest, wanted))


def _make_index(dataset: lance.LanceDataset, lists: int) -> None:
    """Make the index, with fewer lists where many vectors are equal: no list may be empty."""
    options = dict(name=INDEX, metric=METRIC, replace=True)
    try:
        dataset.create_index(POOLED, INDEX_TYPE, num_partitions=lists, **options)
    except RuntimeError as error:
        if 'non-empty clusters' not in str(error) or lists == 1:
            raise
        _make_index(dataset, lists // 2)


def _statistics(dataset: lance.LanceDataset) -> dict[str, Any]:
    return dataset.stats.index_stats(INDEX)
