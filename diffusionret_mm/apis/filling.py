"""What both ways of indexing share: spans go to a gallery, reasons of unreadable files too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.apis.decoding import list_reasons
from diffusionret_mm.apis.index_work import Work
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import Gallery, GalleryWriter, Span, layout_of

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer


class GalleryFiller:
    """Adds spans to a gallery, which is made with the first video that can be read.

    A block under `with` ends with a commit of what was added, also on an interrupt.

    Args:
        inferencer: the model.
        folder: folder of the gallery, or its address.
        work: what there is to index.
        moments: how videos are cut into spans.
        int8: whether a new gallery keeps frames in 8 bits.

    Attributes:
        files: the files to index, by path.
        gallery: the gallery; None until there is one.
        unreadable: why files cannot be read, by path.
        broken_tails: what is wrong with the ends of files that were read, by path.
        num_added: number of videos that were added.
    """

    def __init__(
        self, inferencer: TextVideoInferencer, folder: str, work: Work, moments: Moments, int8: bool
    ) -> None:
        self.files = work.wanted
        self.gallery: Gallery | None = None
        self.unreadable: dict[str, str] = {}
        self.broken_tails: dict[str, str] = {}
        self.num_added = 0
        self._inferencer = inferencer
        self._folder = folder
        self._libraries = work.libraries
        self._moments = moments
        self._int8 = int8
        self._writer: GalleryWriter | None = None
        self._num_noted = 0
        if work.gallery is not None:
            work.gallery.add_libraries(work.libraries)
            self._write_to(work.gallery)

    def __enter__(self) -> GalleryFiller:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Commit what is left."""
        if self._writer is not None:
            self._writer.commit()

    def add(self, spans: Sequence[Span], arrays: Mapping[str, np.ndarray]) -> None:
        """Add spans.

        Args:
            spans: n spans; of each video all that it is to have.
            arrays: their features as `search.pooling.span_arrays` returns them, [n, ...].
        """
        writer = self._writer
        if writer is None:
            facts = self._inferencer.facts(layout_of(arrays), self._moments, self._int8)
            writer = self._write_to(Gallery.create(self._folder, facts, self._libraries))
        writer.add(spans, arrays)
        self.num_added += len({span.file for span in spans})

    def note_unreadable(self, path: str, reason: str) -> None:
        """Remember why a file cannot be read."""
        self.unreadable[path] = reason
        self._note_unreadable()

    def note_broken_tail(self, path: str, reason: str) -> None:
        """Remember what is wrong with the end of a file, if anything is."""
        if reason:
            self.broken_tails[path] = reason

    def commit_if_due(self) -> None:
        """Commit what has waited long enough."""
        if self._writer is not None:
            self._writer.commit_if_due()

    def refuse_nothing(self) -> None:
        """Refuse to end without a gallery, where there are files.

        Raises:
            VideoReadError: if none of them can be read.
        """
        if self.gallery is None and self.files:
            raise VideoReadError(
                f'None of the {len(self.files)} videos can be read, so there is no gallery. '
                + list_reasons(self.unreadable)
            )

    def _write_to(self, gallery: Gallery) -> GalleryWriter:
        gallery.check_precision(self._int8)
        self.gallery, self._writer = gallery, GalleryWriter(gallery)
        self._note_unreadable()
        return self._writer

    def _note_unreadable(self) -> None:
        if self._writer is None:  # they wait for the first video that can be read
            return
        for path, reason in list(self.unreadable.items())[self._num_noted :]:
            self._writer.note_unreadable(self.files[path], reason)
        self._num_noted = len(self.unreadable)
