"""The one process that changes a gallery."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from diffusionret_mm.search.catalogue import VideoFile
from diffusionret_mm.search.first_step import POOLED
from diffusionret_mm.search.gallery import TABLE, Gallery
from diffusionret_mm.search.segments import ArrayLayout
from diffusionret_mm.storage.files import remove_leftovers
from diffusionret_mm.storage.locks import locked


@contextmanager
def writing_gallery(folder: str | os.PathLike[str]) -> Iterator[GalleryWriter]:
    """Hold the lock of a gallery; its index is brought up to date at the end.

    Args:
        folder: folder of a gallery, or of one to be made.

    Raises:
        RuntimeError: if another process writes.
    """
    folder = Path(folder)
    with locked(folder / TABLE):
        remove_leftovers(folder)
        writer = GalleryWriter(folder)
        yield writer
        if writer.gallery is not None:
            writer.gallery.first_step.finish()


class GalleryWriter:
    """Adds and removes videos; `writing_gallery` makes it.

    Args:
        folder: folder of the gallery. Where there is none yet, `gallery` is None until `create`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gallery = Gallery(folder) if Gallery.exists(folder) else None

    def create(
        self,
        fingerprint: Mapping[str, str],
        layout: Mapping[str, ArrayLayout],
        qdrant: str | None = None,
    ) -> None:
        """Make the gallery; see `Gallery.create`."""
        self.gallery = Gallery.create(self.folder, fingerprint, layout, qdrant)

    def add(self, videos: Sequence[VideoFile], arrays: Mapping[str, np.ndarray]) -> None:
        """Add videos, or replace those of the same paths: all of them or, if it is killed, none.

        Args:
            videos: n files, all different.
            arrays: their features as the gallery's layout has them, [n, ...].

        Raises:
            ValueError: if the arrays do not fit the layout, or each other.
            OSError: if the disk has no room.
        """
        if any(len(array) != len(videos) for array in arrays.values()):
            raise ValueError(f'There are {len(videos)} videos, but not as many rows of arrays.')
        gallery = self.gallery
        first = gallery.catalogue.state().next_row
        gallery.arrays.write(first, arrays)
        gallery.first_step.add(np.arange(first, first + len(videos)), arrays[POOLED])
        self._freed(gallery.catalogue.add(videos))

    def remove(self, paths: Sequence[str]) -> int:
        """Take videos out; the room that they took stays taken.

        Returns:
            How many of them were there.
        """
        freed = self.gallery.catalogue.remove(paths)
        self._freed(freed)
        return len(freed)

    def note_unreadable(self, video: VideoFile, reason: str) -> None:
        """Remember a file that cannot be read, so that it is not tried again until it changes."""
        self._freed(self.gallery.catalogue.note_unreadable(video, reason))

    def _freed(self, rows: Sequence[int]) -> None:
        if rows:
            self.gallery.first_step.remove(np.array(rows))
