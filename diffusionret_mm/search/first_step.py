"""The first step of a search: the nearest pooled vectors of the whole gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search.catalogue import Catalogue, State
from diffusionret_mm.search.errors import DAMAGED, GalleryError
from diffusionret_mm.search.segments import SegmentedArrays
from diffusionret_mm.storage.files import written_beside

NO_ROW = -1
POOLED = 'pooled'
# Up to so many vectors are compared one by one: 50,000 of width 512 are 100 MB.
EXACT_ROWS = 50_000
# Vectors behind the index, as a share of those in it, before it takes them up.
GROWTH = 0.1
# The lists are made anew once the index has grown by this factor since, or lost this share.
RETRAIN_FACTOR = 4
TRAINING_VECTORS_PER_LIST = 50
# One list of so many is looked into.
PROBED_SHARE = 32


class FirstStep(Protocol):
    """What finds candidates by inner products of pooled vectors."""

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Take vectors; the same rows may come again after a killed run.

        Args:
            rows: shape [n], int64.
            vectors: shape [n, D], float32.
        """

    def remove(self, rows: np.ndarray) -> None:
        """Forget rows, shape [n], int64."""

    def finish(self) -> None:
        """Bring an index up to date; called at the end of a run that added or removed."""

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the rows of the largest inner products.

        Args:
            queries: shape [q, D], float32.
            count: rows wanted per query.

        Returns:
            Rows [q, count] int64, `NO_ROW` where there are no more, and inner products [q, count]
            float32, the best first.
        """


class FaissFirstStep:
    """Vectors of this machine, by FAISS: exact for a small gallery, inverted lists for a large one.

    The vectors are the array `pooled` of the gallery. The index is derived from it: a file of
    inverted lists in half precision (IVF, SQfp16), memory-mapped. Rows behind it are compared one
    by one until they are more than `EXACT_ROWS` and a tenth of the index; then the next index
    takes them up and replaces the file.

    Args:
        folder: folder of the gallery.
        arrays: its arrays.
        catalogue: its table.
    """

    def __init__(self, folder: Path, arrays: SegmentedArrays, catalogue: Catalogue) -> None:
        self.faiss = import_extra('faiss', 'search')
        self.folder = folder
        self.arrays = arrays
        self.catalogue = catalogue
        self._opened: tuple[str, Any] | None = None
        self._removed: tuple[int, np.ndarray] | None = None

    def add(self, rows: np.ndarray, vectors: np.ndarray) -> None:
        """Do nothing: the vectors are in the gallery's arrays."""

    def remove(self, rows: np.ndarray) -> None:
        """Do nothing: the gallery's table has the removed rows."""

    def finish(self) -> None:
        """Make the next index if there is enough that the present one has not."""
        state = self.catalogue.state()
        removed = self.catalogue.removed_rows()
        gone = int((removed < state.index_rows).sum())
        behind = state.next_row - state.index_rows
        outdated = behind > max(EXACT_ROWS, GROWTH * state.index_rows)
        if outdated or gone > max(EXACT_ROWS, state.index_rows / RETRAIN_FACTOR):
            self._make_index(state, removed)

    def search(self, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """See `FirstStep.search`."""
        while True:
            state = self.catalogue.state()
            removed = self._removed_rows(state.version)
            try:
                parts = [self._search_index(state, removed, queries, count)]
            except FileNotFoundError:
                if state == self.catalogue.state():
                    raise
                continue  # a writer has just replaced it
            parts.append(self._search_behind(state, removed, queries, count))
            return _best(parts, count)

    def _search_index(
        self, state: State, removed: np.ndarray, queries: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if state.index_file is None:
            return _nothing(len(queries))
        index = self._open(state.index_file)
        gone = self.faiss.IDSelectorBatch(removed)
        parameters = self.faiss.SearchParametersIVF(
            sel=self.faiss.IDSelectorNot(gone), nprobe=-(-index.nlist // PROBED_SHARE)
        )
        scores, rows = index.search(queries, count, params=parameters)
        return rows, scores

    def _search_behind(
        self, state: State, removed: np.ndarray, queries: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compare with the rows behind the index, one by one."""
        found = [_nothing(len(queries))]
        for start, block in self.arrays.blocks(POOLED, state.index_rows, state.next_row):
            gone = removed[(removed >= start) & (removed < start + len(block))]
            wanted = min(count + len(gone), len(block))
            metric = self.faiss.METRIC_INNER_PRODUCT
            scores, places = self.faiss.knn(queries, block, wanted, metric=metric)
            rows = places + start
            is_gone = np.isin(rows, gone)
            found.append((np.where(is_gone, NO_ROW, rows), np.where(is_gone, -np.inf, scores)))
        return _best(found, count)

    def _removed_rows(self, version: int) -> np.ndarray:
        if self._removed is None or self._removed[0] != version:
            self._removed = version, self.catalogue.removed_rows()
        return self._removed[1]

    def _open(self, name: str) -> Any:
        if self._opened is None or self._opened[0] != name:
            path = self.folder / name
            if not path.is_file():
                raise GalleryError(
                    f'The index {path} of the gallery is missing; copy it with the other files.'
                )
            self._opened = name, self._read(path, self.faiss.IO_FLAG_MMAP)
        return self._opened[1]

    def _read(self, path: Path, flags: int = 0) -> Any:
        try:
            return self.faiss.read_index(str(path), flags)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise GalleryError(f'The index {path} cannot be read: {reason}. {DAMAGED}') from error

    def _make_index(self, state: State, removed: np.ndarray) -> None:
        kept = state.index_file is not None and not self._must_train(state, removed)
        index = self._read(self.folder / state.index_file) if kept else self._train(state, removed)
        first = state.index_rows if kept else 0
        for start, block in self.arrays.blocks(POOLED, first, state.next_row):
            rows = np.arange(start, start + len(block))
            stay = ~np.isin(rows, removed)
            index.add_with_ids(block[stay], rows[stay])
        if kept:
            index.remove_ids(self.faiss.IDSelectorBatch(removed))
        name = f'pooled-{state.version:08d}.faiss'
        with written_beside(self.folder / name) as scratch:
            self.faiss.write_index(index, str(scratch))
        self.catalogue.set_index(name, state.next_row)
        for file in self.folder.glob('pooled-*.faiss'):
            if file.name != name:  # those who have it open keep it
                file.unlink()

    def _must_train(self, state: State, removed: np.ndarray) -> bool:
        """Whether the gallery has changed too much for the lists of the present index."""
        index = self._open(state.index_file)
        size = state.next_row - len(removed)
        return not index.nlist**2 / RETRAIN_FACTOR <= 16 * size <= index.nlist**2 * RETRAIN_FACTOR

    def _train(self, state: State, removed: np.ndarray) -> Any:
        """Cut the space into 4 sqrt(n) lists, by k-means on some of the n vectors."""
        rows = np.setdiff1d(np.arange(state.next_row), removed, assume_unique=True)
        num_lists = max(1, int(4 * len(rows) ** 0.5))
        wanted = min(len(rows), TRAINING_VECTORS_PER_LIST * num_lists)
        chosen = np.random.default_rng(0).choice(rows, wanted, replace=False)
        vectors = self.arrays.read(POOLED, np.sort(chosen))
        metric = self.faiss.METRIC_INNER_PRODUCT
        index = self.faiss.index_factory(vectors.shape[1], f'IVF{num_lists},SQfp16', metric)
        index.cp.spherical = True
        index.train(vectors)
        return index


def _nothing(num_queries: int) -> tuple[np.ndarray, np.ndarray]:
    empty = np.empty((num_queries, 0))
    return empty.astype(np.int64), empty.astype(np.float32)


def _best(parts: list[tuple[np.ndarray, np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Join what was found in several places."""
    rows, scores = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    missing = max(0, count - rows.shape[1])
    rows = np.pad(rows, ((0, 0), (0, missing)), constant_values=NO_ROW)
    scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
    scores = np.where(rows == NO_ROW, -np.inf, scores).astype(np.float32)
    order = np.lexsort((rows, -scores), axis=1)[:, :count]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
