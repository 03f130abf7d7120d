"""What adds to a gallery and takes from it; any number of processes may, at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import numpy as np

from diffusionret_mm.search.gallery import Gallery
from diffusionret_mm.search.quantised import to_stored
from diffusionret_mm.search.schema import (
    Span,
    VideoFile,
    file_id,
    files_table,
    layout_of,
    spans_schema,
    spans_table,
)
from diffusionret_mm.search.tables import ids_in, rows_of

# Small commits slow searches down: rows wait until there are so many, or for so long.
COMMIT_ROWS = 1024
COMMIT_SECONDS = 60.0
FILES_PER_COMMIT = 10_000


class GalleryWriter:
    """Collects rows and commits them, all spans of a video together.

    A block under `with` ends with a commit of what is left, also on an interrupt. A killed process
    loses what it has collected since its last commit.

    Args:
        gallery: the gallery.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self._schema = spans_schema(gallery.facts)
        self._spans: list[Span] = []
        self._arrays: list[Mapping[str, np.ndarray]] = []
        self._files: dict[VideoFile, str] = {}
        self._since = time.monotonic()

    def __enter__(self) -> GalleryWriter:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what is left."""
        self.commit()

    def add(self, spans: Sequence[Span], arrays: Mapping[str, np.ndarray]) -> None:
        """Add spans; those that the gallery has of the same videos are replaced.

        Args:
            spans: n spans, all different; of each video all that it is to have.
            arrays: their features as the gallery's layout has them, [n, ...].

        Raises:
            ValueError: if the arrays do not fit the layout, or each other.
            OSError: if the disk has no room.
        """
        if any(len(array) != len(spans) for array in arrays.values()):
            raise ValueError(f'There are {len(spans)} spans, but not as many rows of arrays.')
        layout = self.gallery.facts.layout
        if (found := layout_of(arrays)) != layout:
            raise ValueError(
                f'The gallery {self.gallery.folder} has the arrays {layout}; got {found}.'
            )
        self._start()
        self._spans += spans
        self._arrays.append(arrays)
        self._files |= dict.fromkeys([span.file for span in spans], '')
        self.commit_if_due()

    def note_unreadable(self, file: VideoFile, reason: str) -> None:
        """Remember a file that cannot be read; what was indexed of it before is taken out."""
        self._start()
        self._files[file] = reason
        self.commit_if_due()

    def remove(self, keys: Sequence[tuple[str, str]]) -> int:
        """Take files out, and all their spans.

        Args:
            keys: libraries and paths.

        Returns:
            How many of the files were there.
        """
        removed = 0
        for start in range(0, len(keys), FILES_PER_COMMIT):
            part = keys[start : start + FILES_PER_COMMIT]
            self._forget_lines(part)
            self.gallery.spans.delete(rows_of(part))
            removed += self.gallery.files.delete(ids_in([file_id(*key) for key in part]))
        return removed

    def commit_if_due(self) -> None:
        """Commit if there is enough, or if something has waited long enough."""
        is_late = time.monotonic() - self._since >= COMMIT_SECONDS
        if max(len(self._files), len(self._spans)) >= COMMIT_ROWS or is_late:
            self.commit()

    def commit(self) -> None:
        """Commit what was collected: first the spans, then their files."""
        spans, parts, files = self._spans, self._arrays, self._files
        self._spans, self._arrays, self._files = [], [], {}  # what fails is not tried again
        if not files:
            return
        names = self.gallery.facts.layout
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in names if parts}
        keys = [file.key for file in files]
        self._forget_lines(keys)
        if spans:
            rows = spans_table(spans, to_stored(arrays, self.gallery.facts), self._schema)
            self.gallery.spans.replace(rows_of(keys), rows)
        else:
            self.gallery.spans.delete(rows_of(keys))
        ids = [file_id(*key) for key in keys]
        self.gallery.files.replace(ids_in(ids), files_table(files))

    def _forget_lines(self, keys: Sequence[tuple[str, str]]) -> None:
        """Take out what was said in files: the spans that come may have the same times."""
        if self.gallery.subtitles.exists():
            self.gallery.subtitles.delete(rows_of(keys))

    def _start(self) -> None:
        if not self._files:
            self._since = time.monotonic()
