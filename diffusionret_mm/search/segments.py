"""Rows of arrays in files that only grow, read through memory maps."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diffusionret_mm.search.errors import DAMAGED, GalleryError

ROWS_PER_SEGMENT = 65_536


@dataclass(frozen=True)
class ArrayLayout:
    """What a row of an array is.

    Args:
        dtype: name of its dtype.
        shape: shape of a row.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize


def layout_of(arrays: Mapping[str, np.ndarray]) -> dict[str, ArrayLayout]:
    """Return the layout of arrays [n, ...], by name."""
    return {
        name: ArrayLayout(str(array.dtype), tuple(array.shape[1:]))
        for name, array in arrays.items()
    }


class SegmentedArrays:
    """Arrays of equally many rows, each in files of `ROWS_PER_SEGMENT` rows.

    Row r of an array lies in its file r // ROWS_PER_SEGMENT. Files are opened when a row of them is
    read, so opening takes no time. Which rows are valid is for others to know: rows that a killed
    process wrote are overwritten by the next one.

    Args:
        folder: an existing folder.
        layout: layout of each array.
    """

    def __init__(self, folder: Path, layout: Mapping[str, ArrayLayout]) -> None:
        self.folder = folder
        self.layout = dict(layout)
        self._maps: dict[tuple[str, int], np.ndarray] = {}

    def write(self, first_row: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Write rows and bring them to the disk.

        Plain writing: a full disk is an `OSError` then, while a process that writes to a memory map
        is killed.

        Args:
            first_row: row of the first.
            arrays: all arrays, [n, ...].

        Raises:
            ValueError: if an array is missing or has another layout.
            OSError: if the disk has no room.
        """
        found = layout_of(arrays)
        if found != self.layout:
            raise ValueError(
                f'The gallery {self.folder} has the arrays {self.layout}; got {found}.'
            )
        for name, array in arrays.items():
            for segment, inside, part in _split(first_row, array):
                with open(self._file(name, segment), 'ab'):
                    pass  # creates it; 'r+b' does not
                with open(self._file(name, segment), 'r+b') as file:
                    file.seek(inside * self.layout[name].row_bytes)
                    file.write(np.ascontiguousarray(part))
                    file.flush()
                    os.fdatasync(file.fileno())

    def read(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Read rows of an array.

        Args:
            name: name of the array.
            rows: shape [n], int64.

        Returns:
            A copy, [n, ...].
        """
        layout = self.layout[name]
        result = np.empty((len(rows), *layout.shape), layout.dtype)
        segments, inside = np.divmod(rows, ROWS_PER_SEGMENT)
        for segment in np.unique(segments):
            chosen = segments == segment
            within = inside[chosen]
            result[chosen] = self._map(name, int(segment), int(within.max()) + 1)[within]
        return result

    def blocks(self, name: str, start: int, stop: int) -> Iterator[tuple[int, np.ndarray]]:
        """Go through rows of an array in order, without copying.

        Args:
            name: name of the array.
            start: first row.
            stop: row behind the last.

        Yields:
            Number of the first row of a block, and the block [n, ...].
        """
        while start < stop:
            segment, inside = divmod(start, ROWS_PER_SEGMENT)
            end = min(stop - segment * ROWS_PER_SEGMENT, ROWS_PER_SEGMENT)
            yield start, self._map(name, segment, end)[inside:end]
            start += end - inside

    def _map(self, name: str, segment: int, rows: int) -> np.ndarray:
        """Map a file; again if it has grown and the new rows are wanted."""
        array = self._maps.get((name, segment))
        if array is None or len(array) < rows:
            array = _map_file(self._file(name, segment), self.layout[name])
            if len(array) < rows:
                raise GalleryError(
                    f'{self._file(name, segment)} holds {len(array):,} rows, and the table of the '
                    f'gallery {rows:,} or more. {DAMAGED}'
                )
            self._maps[name, segment] = array
        return array

    def _file(self, name: str, segment: int) -> Path:
        return self.folder / f'{name}-{segment:05d}.bin'


def _split(first_row: int, array: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Cut rows at the ends of segments: segment, first row in it, and the rows."""
    done = 0
    while done < len(array):
        segment, inside = divmod(first_row + done, ROWS_PER_SEGMENT)
        part = array[done : done + ROWS_PER_SEGMENT - inside]
        yield segment, inside, part
        done += len(part)


def _map_file(path: Path, layout: ArrayLayout) -> np.ndarray:
    if not path.is_file() or not path.stat().st_size:
        raise GalleryError(f'{path} of the gallery is missing or empty. {DAMAGED}')
    with open(path, 'rb') as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if layout.row_bytes > mmap.PAGESIZE and hasattr(mmap, 'MADV_RANDOM'):
        mapped.madvise(mmap.MADV_RANDOM)  # rows are read here and there: nothing to read ahead
    whole = len(mapped) // layout.row_bytes  # a writer may be in the middle of a row
    return np.ndarray((whole, *layout.shape), layout.dtype, buffer=mapped)
