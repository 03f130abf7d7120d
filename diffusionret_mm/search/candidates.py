"""The first step of a search: the nearest pooled vectors, by Lance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.search.schema import POOLED
from diffusionret_mm.search.tables import reason_of
from diffusionret_mm.search.vector_index import METRIC, Part

if TYPE_CHECKING:
    import lance

# Candidates that the second step scores, unless more results are wanted.
NUM_CANDIDATES = 1000
# One list of so many is looked into.
PROBED_SHARE = 8


@dataclass(frozen=True)
class Nearest:
    """Rows of a version of the table, the nearest first; of equal ones the first row.

    Args:
        distances: shape [n], float32.
        rows: their rows, [n], uint64.
    """

    distances: np.ndarray
    rows: np.ndarray


@dataclass(frozen=True)
class Question:
    """What the first step of a search is asked.

    Args:
        queries: shape [q, D], float32.
        count: rows wanted per query, at most.
        where: a condition on columns of the table, in SQL; rows that do not meet it are left out
            before vectors are compared. None: all rows.
    """

    queries: np.ndarray
    count: int
    where: str | None = None


class Searchers:
    """Who looks through the parts of a table: here this process alone, one part after another.

    Attributes:
        count: number of processes.
    """

    count = 1

    def nearest(
        self, dataset: lance.LanceDataset, parts: Sequence[Part], question: Question
    ) -> list[Nearest]:
        """Find the rows whose pooled vectors have the largest inner products with the queries'.

        Args:
            dataset: a version of the table of spans.
            parts: what `parts_of` returned.
            question: the queries.

        Returns:
            The rows of each query. They do not depend on who looks through which part.
        """
        return search_parts(dataset, parts, question)


def search_parts(
    dataset: lance.LanceDataset, parts: Sequence[Part], question: Question
) -> list[Nearest]:
    """Look through some parts; arguments and result as of `Searchers.nearest`."""
    return [
        join([_nearest(dataset, query, part, question) for part in parts], question.count)
        for query in np.ascontiguousarray(question.queries, np.float32)
    ]


def join(found: Sequence[Nearest], count: int) -> Nearest:
    """Return the nearest rows of several parts.

    Args:
        found: the rows of each part.
        count: rows wanted, at most.
    """
    distances = np.concatenate([np.empty(0, np.float32), *(each.distances for each in found)])
    rows = np.concatenate([np.empty(0, np.uint64), *(each.rows for each in found)])
    order = np.lexsort((rows, distances))[:count]
    return Nearest(distances[order], rows[order])


def _nearest(
    dataset: lance.LanceDataset, query: np.ndarray, part: Part, question: Question
) -> Nearest:
    near = dict(column=POOLED, q=query, k=question.count, metric=METRIC)
    options: dict = {}
    if part.segment is not None:
        # At least so many lists: with a condition, more until there are enough rows that meet it.
        near |= dict(minimum_nprobes=-(-part.lists // PROBED_SHARE))
        options |= dict(index_segments=[part.segment], fast_search=True)
    else:
        near |= dict(use_index=False)
        if part.fragments is not None:
            options |= dict(fragments=[dataset.get_fragment(each) for each in part.fragments])
    scanner = dataset.scanner(
        columns=['_distance'],
        nearest=near,
        filter=question.where,
        prefilter=True,
        with_row_id=True,
        disable_scoring_autoprojection=True,
        **options,
    )
    rows = scanner.to_table()
    return Nearest(rows['_distance'].to_numpy(), rows['_rowid'].to_numpy())


def check_where(dataset: lance.LanceDataset, where: str) -> None:
    """Refuse a condition that the table cannot be filtered by.

    Raises:
        ValueError: if it is none; it says why.
    """
    try:
        dataset.scanner(columns=['id'], filter=where).explain_plan()  # reads no row
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f'The filter {where!r} cannot be used: {reason_of(error)}.') from error
