"""One version of a gallery, as a search reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.search.candidates import COLUMNS, check_where, nearest, num_lists, once_per_id
from diffusionret_mm.search.errors import DAMAGED, GalleryError
from diffusionret_mm.search.libraries import Libraries
from diffusionret_mm.search.quantised import from_stored
from diffusionret_mm.search.schema import FRAME_SCALES, FRAMES, Facts, array_of
from diffusionret_mm.search.tables import quoted, readable

if TYPE_CHECKING:
    import lance
    import pyarrow


@dataclass(frozen=True)
class FoundSpan:
    """A span of a gallery.

    Args:
        id: its key.
        path: absolute path of its video.
        start: seconds.
        end: seconds.
        kind: 'video', 'window' or 'shot'.
    """

    id: str
    path: str
    start: float
    end: float
    kind: str


@dataclass(frozen=True)
class Candidates:
    """Spans that the first step of a search has found.

    Args:
        rows: their rows in the snapshot, [n], int64.
        spans: the spans, by path, start and end.
    """

    rows: np.ndarray
    spans: list[FoundSpan]


class Snapshot:
    """One version of a gallery: nothing that writers do changes it.

    Args:
        dataset: the version of the table of spans.
        libraries: where videos are.
        facts: what is known of the model and of the arrays of a span.
    """

    def __init__(self, dataset: lance.LanceDataset, libraries: Libraries, facts: Facts) -> None:
        self.dataset = dataset
        self.libraries = libraries
        self.facts = facts
        self._lists: int | None = None

    def __len__(self) -> int:
        """Return the number of spans."""
        with readable(self.dataset.uri):
            return self.dataset.count_rows()

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.dataset.version

    def candidates(
        self, queries: np.ndarray, count: int, where: str | None = None
    ) -> list[Candidates]:
        """Find the spans whose pooled vectors have the largest inner products with the queries'.

        Args:
            queries: shape [q, D], float32.
            count: spans wanted per query, at most.
            where: a condition on columns of the table, in SQL; None: all spans.

        Returns:
            Of each query the spans, in the order of their paths, which does not depend on how they
            were indexed.

        Raises:
            ValueError: if the condition is none.
        """
        if where is not None:
            check_where(self.dataset, where)
        with readable(self.dataset.uri):
            if self._lists is None:
                self._lists = num_lists(self.dataset)
            found = [
                nearest(self.dataset, query, count, self._lists, where)
                for query in np.ascontiguousarray(queries, np.float32)
            ]
        return [self._by_path(rows) for rows in found]

    def find(self, span: str) -> Candidates:
        """Find a span by its id; there is none, or one."""
        with readable(self.dataset.uri):
            options = dict(columns=list(COLUMNS), with_row_id=True)
            rows = self.dataset.to_table(filter=f'id = {quoted(span)}', **options)
        return self._by_path(once_per_id(rows))

    def read(self, rows: np.ndarray, *names: str) -> dict[str, np.ndarray]:
        """Read arrays of spans.

        Args:
            rows: their rows in this snapshot, [n], int64.
            names: names of arrays.

        Returns:
            The arrays by name, [n, ...], in the order of the rows.
        """
        order = np.argsort(rows, kind='stable')  # the disk is read in its own order
        back = np.argsort(order, kind='stable')
        stored = [*names, FRAME_SCALES] if self.facts.int8 and FRAMES in names else [*names]
        with readable(self.dataset.uri):
            taken = self.dataset._take_rows(rows[order].tolist(), columns=stored)
        if len(taken) != len(rows):
            raise GalleryError(
                f'{self.dataset.uri} lacks {len(rows) - len(taken)} of {len(rows)} rows. {DAMAGED}'
            )
        layout = self.facts.stored_layout
        arrays = {name: array_of(taken[name], layout[name])[back] for name in stored}
        return from_stored(arrays, self.facts)

    def _by_path(self, rows: pyarrow.Table) -> Candidates:
        columns = (rows[name].to_pylist() for name in (*COLUMNS, '_rowid'))
        found = [
            (FoundSpan(each, self.libraries.path_of(library, path), *rest), row)
            for each, library, path, *rest, row in zip(*columns, strict=True)
        ]
        found.sort(key=lambda pair: (pair[0].path, pair[0].start, pair[0].end))
        return Candidates(np.array([row for _, row in found], np.int64), [s for s, _ in found])
