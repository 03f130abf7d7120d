"""One version of a gallery, as a search reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.search.candidates import Question, Searchers, check_where
from diffusionret_mm.search.errors import DAMAGED, GalleryError
from diffusionret_mm.search.libraries import Libraries
from diffusionret_mm.search.quantised import from_stored
from diffusionret_mm.search.schema import FRAME_SCALES, FRAMES, TEXT, Facts, array_of
from diffusionret_mm.search.subtitles import NO_MATCHES, Matches, find_lines, once_per_id
from diffusionret_mm.search.tables import ids_in, quoted, readable
from diffusionret_mm.search.vector_index import Part, parts_of

if TYPE_CHECKING:
    import lance
    import pyarrow


VIDEO_COLUMNS = ('library', 'path')
COLUMNS = ('id', *VIDEO_COLUMNS, 'start', 'end', 'kind')


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
        snapshot: the version that they were found in.
        rows: their rows in it, [n], int64, in the order of their ids; behind them those that have
            joined.
    """

    snapshot: Snapshot
    rows: np.ndarray

    def joined_by(self, rows: np.ndarray) -> Candidates:
        """Return these spans, and behind them those of some rows [m] that are not among them."""
        return Candidates(
            self.snapshot, np.concatenate([self.rows, rows[~np.isin(rows, self.rows)]])
        )

    @cached_property
    def spans(self) -> list[FoundSpan]:
        """All the spans, in the order of the rows; read when they are first wanted."""
        return self.snapshot.spans(self.rows)

    @cached_property
    def videos(self) -> list[tuple[str, str]]:
        """Libraries and paths of their videos, in the order of the rows; read without the rest."""
        return self.snapshot.videos(self.rows)

    def at(self, places: Sequence[int]) -> list[FoundSpan]:
        """Read the spans at some places of the rows."""
        return self.snapshot.spans(self.rows[list(places)])


class Snapshot:
    """One version of a gallery: nothing that writers do changes it.

    Args:
        dataset: the version of the table of spans.
        libraries: where videos are.
        facts: what is known of the model and of the arrays of a span.
        searchers: who looks through the parts of the table.
        subtitles: the version of the table of subtitles; None: there is none.
    """

    def __init__(
        self,
        dataset: lance.LanceDataset,
        libraries: Libraries,
        facts: Facts,
        searchers: Searchers,
        subtitles: lance.LanceDataset | None = None,
    ) -> None:
        self.dataset = dataset
        self.subtitles = subtitles
        self.libraries = libraries
        self.facts = facts
        self._searchers = searchers

    def __len__(self) -> int:
        """Return the number of spans."""
        with readable(self.dataset.uri):
            return self.dataset.count_rows()

    @property
    def version(self) -> int:
        """Number of the version."""
        return self.dataset.version

    @property
    def seconds(self) -> float:
        """How long its videos are together; those of unknown length count as nothing."""
        columns = ['library', 'path', 'end']
        with readable(self.dataset.uri):
            ends = self.dataset.to_table(columns=columns)
        last = ends.group_by(columns[:2]).aggregate([('end', 'max')])
        return float(last['end_max'].to_numpy().sum())

    @cached_property
    def parts(self) -> list[Part]:
        """The parts that the first step looks through, found when they are first wanted."""
        with readable(self.dataset.uri):
            return parts_of(self.dataset)

    def candidates(
        self, queries: np.ndarray, count: int, where: str | None = None
    ) -> list[Candidates]:
        """Find the spans whose pooled vectors have the largest inner products with the queries'.

        Args:
            queries: shape [q, D], float32.
            count: spans wanted per query, at most.
            where: a condition on columns of the table, in SQL; None: all spans.

        Returns:
            Of each query the spans, in the order of their ids, which does not depend on how they
            were indexed.

        Raises:
            ValueError: if the condition is none.
        """
        if where is not None:
            self.check(where)
        question = Question(queries, count, where)
        with readable(self.dataset.uri):
            found = self._searchers.nearest(self.dataset, self.parts, question)
        return [self._by_id(each.rows) for each in found]

    def matches(self, sentence: str, count: int, where: str | None = None) -> Matches:
        """Find the spans in which most of a sentence's words are said, and more than half of them.

        Args:
            sentence: any text.
            count: spans of the best BM25 that are looked at.
            where: a condition on columns of the table, in SQL; None: all spans.

        Returns:
            The spans, the best first; none if the gallery has no subtitles.

        Raises:
            ValueError: if the condition is none, or asks for arrays.
        """
        if self.subtitles is None:
            return NO_MATCHES
        if where is not None:
            check_where(self.subtitles, where)
        with readable(self.subtitles.uri):
            lines = find_lines(self.subtitles, sentence, count, where)
        ids = lines['id'].to_pylist()
        if not ids:
            return NO_MATCHES
        with readable(self.dataset.uri):
            spans = self.dataset.to_table(['id'], filter=ids_in(ids), with_row_id=True)
            spans = once_per_id(spans)
        row_of = dict(zip(spans['id'].to_pylist(), spans['_rowid'].to_pylist(), strict=True))
        texts = dict(zip(ids, lines[TEXT].to_pylist(), strict=True))
        known = {row_of[each]: text for each, text in texts.items() if each in row_of}
        return Matches(np.array([*known], np.int64), [*known.values()])

    def check(self, where: str) -> None:
        """Refuse a condition that spans cannot be filtered by.

        Raises:
            ValueError: if it is none; it says why.
        """
        check_where(self.dataset, where)

    def find(self, span: str) -> Candidates:
        """Find a span by its id; there is none, or one."""
        with readable(self.dataset.uri):
            rows = self.dataset.to_table([], filter=f'id = {quoted(span)}', with_row_id=True)
        return Candidates(self, rows['_rowid'].to_numpy().astype(np.int64)[:1])

    def read(self, rows: np.ndarray, *names: str) -> dict[str, np.ndarray]:
        """Read arrays of spans.

        Args:
            rows: their rows in this snapshot, [n], int64.
            names: names of arrays.

        Returns:
            The arrays by name, [n, ...], in the order of the rows.
        """
        stored = [*names, FRAME_SCALES] if self.facts.int8 and FRAMES in names else [*names]
        taken, back = self._take(rows, stored)
        layout = self.facts.stored_layout
        arrays = {name: array_of(taken[name], layout[name])[back] for name in stored}
        return from_stored(arrays, self.facts)

    def spans(self, rows: np.ndarray) -> list[FoundSpan]:
        """Read what spans are; arguments as of `read`."""
        taken, back = self._take(rows, COLUMNS)
        columns = (taken[name].take(back).to_pylist() for name in COLUMNS)
        return [
            FoundSpan(each, self.libraries.path_of(library, path), *rest)
            for each, library, path, *rest in zip(*columns, strict=True)
        ]

    def videos(self, rows: np.ndarray) -> list[tuple[str, str]]:
        """Read libraries and paths of the videos of spans; arguments as of `read`."""
        taken, back = self._take(rows, VIDEO_COLUMNS)
        columns = (taken[name].take(back).to_pylist() for name in VIDEO_COLUMNS)
        return list(zip(*columns, strict=True))

    def _take(self, rows: np.ndarray, columns: Sequence[str]) -> tuple[pyarrow.Table, np.ndarray]:
        """Read columns in the disk's order, and say at which place of it each row is."""
        order = np.argsort(rows, kind='stable')
        with readable(self.dataset.uri):
            taken = self.dataset._take_rows(rows[order].tolist(), columns=list(columns))
        if len(taken) != len(rows):
            raise GalleryError(
                f'{self.dataset.uri} lacks {len(rows) - len(taken)} of {len(rows)} rows. {DAMAGED}'
            )
        return taken, np.argsort(order, kind='stable')

    def _by_id(self, rows: np.ndarray) -> Candidates:
        """Put rows into the order of their ids, the first of each: two writers may have had one."""
        taken, back = self._take(rows, ['id'])
        first: dict[str, int] = {}
        for place, each in enumerate(taken['id'].take(back).to_pylist()):
            first.setdefault(each, place)
        places = [first[each] for each in sorted(first)]
        return Candidates(self, rows[places].astype(np.int64))
