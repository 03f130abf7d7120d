"""Indexing of video files into a gallery, batch by batch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.logging import print_log
from torch import Tensor

from diffusionret_mm.apis.decoding import (
    Listing,
    decode_in_parallel,
    describe,
    file_of,
    list_reasons,
    list_videos,
)
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.search import (
    Gallery,
    GalleryError,
    GalleryWriter,
    VideoFile,
    writing_gallery,
)
from diffusionret_mm.search.pooling import frame_weights, pool_videos
from diffusionret_mm.search.segments import layout_of

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer


def index_videos(
    inferencer: TextVideoInferencer,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    folder: Path,
    qdrant: str | None,
) -> Gallery:
    """Index videos; see `TextVideoInferencer.index`."""
    listing = list_videos(source)
    files = {path: file for path in listing.paths if (file := _file_of(path, listing)) is not None}
    start = time.perf_counter()
    with writing_gallery(folder) as writer:
        known: Mapping[str, VideoFile] = {}
        if writer.gallery is not None:
            _check(inferencer, writer.gallery, qdrant)
            known = writer.gallery.catalogue.known()
        wanted = [path for path, file in files.items() if known.get(path) != file]
        run = _IndexRun(inferencer, writer, files, qdrant)
        results = decode_in_parallel(
            inferencer.transforms,
            wanted,
            inferencer.num_workers,
            inferencer.show_progress,
            partial(time_limit, seconds=inferencer.time_limit),
            when_idle=run.add_waiting,
        )
        for path, item, error in results:
            run.take(path, item, error)
        run.finish()
    _log(run, len(files) - len(wanted), time.perf_counter() - start, describe(listing))
    return writer.gallery


def remove_vanished(folder: str | os.PathLike[str]) -> int:
    """Take the videos out of a gallery whose files do not exist any more.

    Args:
        folder: folder of the gallery.

    Returns:
        Their number.

    Raises:
        GalleryError: if there is no gallery.
        RuntimeError: if another process writes to it.
    """
    Gallery(folder)
    with writing_gallery(folder) as writer:
        paths = writer.gallery.catalogue.all_paths()
        return writer.remove([path for path in paths if not os.path.isfile(path)])


class _IndexRun:
    """Collects decoded videos into batches, encodes them and adds them to the gallery."""

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        writer: GalleryWriter,
        files: Mapping[str, VideoFile],
        qdrant: str | None,
    ) -> None:
        self.inferencer = inferencer
        self.writer = writer
        self.files = files
        self.qdrant = qdrant
        self.unreadable: dict[str, str] = {}
        self.num_added = 0
        self._items: dict[str, dict[str, Tensor]] = {}
        self._num_noted = 0

    def take(self, path: str, item: dict[str, Tensor] | None, error: str) -> None:
        """Take a decoded video, or the reason why there is none."""
        if item is None:
            self.unreadable[path] = error
        else:
            self._items[path] = item
        if len(self._items) == self.inferencer.batch_size:
            self._add()

    def add_waiting(self) -> None:
        """Add what is decoded, be it less than a batch: the next video may take long."""
        if self._items:
            self._add()

    def finish(self) -> None:
        """Add what is left."""
        self.add_waiting()
        if self.writer.gallery is None:
            raise VideoReadError(
                f'None of the {len(self.files)} videos can be read, so there is no gallery. '
                + list_reasons(self.unreadable)
            )
        self._note_unreadable()

    def _add(self) -> None:
        arrays = _features(self.inferencer, list(self._items.values()))
        if self.writer.gallery is None:
            self.writer.create(self.inferencer.fingerprint, layout_of(arrays), self.qdrant)
        self.writer.add([self.files[path] for path in self._items], arrays)
        self.num_added += len(self._items)
        self._items = {}
        self._note_unreadable()

    def _note_unreadable(self) -> None:
        for path, reason in list(self.unreadable.items())[self._num_noted :]:
            self.writer.note_unreadable(self.files[path], reason)
        self._num_noted = len(self.unreadable)


def _features(
    inferencer: TextVideoInferencer, items: list[dict[str, Tensor]]
) -> dict[str, np.ndarray]:
    """Encode decoded videos into the arrays of a gallery.

    Weights and pooled vectors are made of the frames as they are kept, in half precision.
    """
    videos = inferencer.encode_items(items)
    kept = videos.to(videos.frames.half()).to(videos.frames)
    weights = frame_weights(inferencer.model, kept)
    tensors = dict(
        frames=kept.frames.half(),
        frame_mask=kept.mask,
        frame_weights=weights,
        pooled=pool_videos(kept, weights),
    )
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


def _check(inferencer: TextVideoInferencer, gallery: Gallery, qdrant: str | None) -> None:
    inferencer.open_gallery(gallery)
    found = gallery.qdrant and gallery.qdrant['location']
    if qdrant is not None and found != qdrant:
        raise GalleryError(
            f'The gallery {gallery.folder} keeps its pooled vectors {found or "in its folder"}, '
            f'not at {qdrant}; that is decided when a gallery is made. Choose another folder.'
        )


def _file_of(path: str, listing: Listing) -> VideoFile | None:
    """The state of a file; None, with a reason in the listing, if it has vanished since."""
    try:
        return file_of(path)
    except OSError as error:
        listing.passed_over[path] = (error.strerror or str(error)).lower()
        return None


def _log(run: _IndexRun, num_known: int, seconds: float, passed_over: str) -> None:
    print_log(
        f'Indexed {run.num_added:,} videos in {seconds:.1f} s '
        f'({run.num_added / seconds:.1f} per second); {num_known:,} were known, '
        f'{len(run.unreadable):,} cannot be read. The gallery {run.writer.folder} holds '
        f'{len(run.writer.gallery):,}. {list_reasons(run.unreadable)}'
        f'{passed_over}',
        logger='current',
    )
