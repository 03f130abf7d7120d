"""Indexing of video files into a gallery, batch by batch."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.logging import print_log

from diffusionret_mm.apis.decoding import decode_in_parallel, describe, list_reasons
from diffusionret_mm.apis.index_work import Work, find_work
from diffusionret_mm.apis.replicas import Replicas
from diffusionret_mm.apis.shares import Share
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.search import (
    Gallery,
    GalleryError,
    GalleryWriter,
    Span,
    VideoFile,
    layout_of,
    maintain,
)
from diffusionret_mm.search.maintenance import KEPT
from diffusionret_mm.search.pooling import frame_weights, pool_videos
from diffusionret_mm.search.schema import FRAME_WEIGHTS, FRAMES, MASK, POOLED

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class IndexOptions:
    """How to index.

    Args:
        roots: folders of libraries by name: of known ones that have moved, or of new ones.
        share: the part of the files that this process indexes.
        devices: where to encode; none: the inferencer's device.
        keep: age of the gallery's versions that stay.
        int8: whether a new gallery keeps frames in 8 bits.
    """

    roots: Mapping[str, PathLike] = field(default_factory=dict)
    share: Share = Share()
    devices: Sequence[torch.device] = ()
    keep: timedelta = KEPT
    int8: bool = False


def index_videos(
    inferencer: TextVideoInferencer,
    source: PathLike | Sequence[PathLike],
    folder: str,
    options: IndexOptions,
) -> Gallery | None:
    """Index videos; see `TextVideoInferencer.index`."""
    start = time.perf_counter()
    work = find_work(inferencer, source, folder, options.roots, options.share)
    run = _IndexRun(inferencer, folder, work, options)
    with run:
        results = decode_in_parallel(
            inferencer.transforms,
            list(work.wanted),
            inferencer.num_workers or options.share.workers(),
            inferencer.show_progress,
            partial(time_limit, seconds=inferencer.time_limit),
            when_idle=run.add_waiting,
        )
        for path, item, error in results:
            run.take(path, item, error)
        run.finish()
    seconds = time.perf_counter() - start
    log_run(run.gallery, work, run.num_added, run.unreadable, seconds)
    if run.gallery is not None and _nothing_is_left(run.gallery, work.files, options.share):
        maintain(run.gallery, options.keep)
    return run.gallery


def remove_vanished(
    folder: PathLike, roots: Mapping[str, PathLike] | None = None, keep: timedelta = KEPT
) -> int:
    """Take the videos out of a gallery whose files do not exist any more.

    Args:
        folder: folder of the gallery.
        roots: folders of libraries that have moved, by name.
        keep: age of the gallery's versions that stay; their room is given back later.

    Returns:
        Their number.

    Raises:
        GalleryError: if there is no gallery, or the root of a library does not exist.
    """
    gallery = Gallery(folder, roots)
    libraries = gallery.libraries
    keys = list(gallery.known())
    for name in sorted({library for library, _ in keys}):
        root = libraries.path_of(name, '').rstrip(os.sep)
        if not os.path.isdir(root):
            raise GalleryError(
                f'The folder {root} of the library {name!r} does not exist, so nothing was taken '
                f'out. If it has moved, give --root {name}=FOLDER.'
            )
    gone = [key for key in keys if not os.path.isfile(libraries.path_of(*key))]
    removed = GalleryWriter(gallery).remove(gone)
    if removed:
        maintain(gallery, keep)
    return removed


class _IndexRun:
    """Collects decoded videos into batches, encodes them and adds them to the gallery.

    A block under `with` ends with a commit of what was encoded, also on an interrupt.
    """

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        folder: str,
        work: Work,
        options: IndexOptions,
    ) -> None:
        self.inferencer = inferencer
        self.folder = folder
        self.libraries = work.libraries
        self.files = work.wanted
        self.options = options
        self.gallery: Gallery | None = None
        self.unreadable: dict[str, str] = {}
        self.num_added = 0
        self._writer: GalleryWriter | None = None
        self._items: dict[str, dict[str, Any]] = {}
        self._num_noted = 0
        self._replicas = Replicas(inferencer, options.devices or [inferencer.device], encode_videos)
        if work.gallery is not None:
            work.gallery.add_libraries(work.libraries)
            self._write_to(work.gallery)

    def __enter__(self) -> _IndexRun:
        return self

    def __exit__(self, *error: object) -> None:
        self._replicas.close()
        if self._writer is not None:
            self._writer.commit()

    def take(self, path: str, item: dict[str, Any] | None, error: str) -> None:
        """Take a decoded video, or the reason why there is none."""
        if item is None:
            self.unreadable[path] = error
            self._note_unreadable()
        else:
            self._items[path] = item
        if len(self._items) == self.inferencer.batch_size:
            self._encode_items()

    def add_waiting(self) -> None:
        """Add what is decoded, be it less than a batch: the next video may take long."""
        if self._items:
            self._encode_items()
        self._add(self._replicas.finish())
        if self._writer is not None:
            self._writer.commit_if_due()

    def finish(self) -> None:
        """Add what is left."""
        self.add_waiting()
        if self.gallery is None and self.files and self.options.share.world_size == 1:
            raise VideoReadError(
                f'None of the {len(self.files)} videos can be read, so there is no gallery. '
                + list_reasons(self.unreadable)
            )

    def _encode_items(self) -> None:
        items, self._items = self._items, {}
        self._add(self._replicas.submit(items))

    def _add(self, results: Sequence[tuple[list[str], Any]]) -> None:
        for paths, (ends, arrays) in results:
            if self._writer is None:
                facts = self.inferencer.facts(layout_of(arrays), self.options.int8)
                self._write_to(Gallery.create(self.folder, facts, self.libraries))
            spans = [
                Span(self.files[path], 0.0, end) for path, end in zip(paths, ends, strict=True)
            ]
            self._writer.add(spans, arrays)
            self.num_added += len(paths)

    def _write_to(self, gallery: Gallery) -> None:
        gallery.check_precision(self.options.int8)
        self.gallery, self._writer = gallery, GalleryWriter(gallery)
        self._note_unreadable()

    def _note_unreadable(self) -> None:
        if self._writer is None:  # they wait for the first video that can be read
            return
        for path, reason in list(self.unreadable.items())[self._num_noted :]:
            self._writer.note_unreadable(self.files[path], reason)
        self._num_noted = len(self.unreadable)


def encode_videos(
    inferencer: TextVideoInferencer, items: Sequence[dict[str, Any]]
) -> tuple[list[float], dict[str, np.ndarray]]:
    """Encode decoded videos: their durations in seconds, and the arrays of a gallery.

    Weights and pooled vectors are made of the frames as they are kept, in half precision.
    """
    videos = inferencer.encode_items(items)
    kept = videos.to(videos.frames.half()).to(videos.frames)
    weights = frame_weights(inferencer.model, kept)
    tensors = {
        POOLED: pool_videos(kept, weights),
        FRAMES: kept.frames.half(),
        FRAME_WEIGHTS: weights,
        MASK: kept.mask,
    }
    arrays = {name: tensor.cpu().numpy() for name, tensor in tensors.items()}
    return [float(item['duration']) for item in items], arrays


def _nothing_is_left(gallery: Gallery, files: Mapping[str, VideoFile], share: Share) -> bool:
    """Whether this process is the last one, which maintains the gallery."""
    if share.world_size == 1:
        return True
    known = gallery.known()
    return all(file.key in known for file in files.values())


def log_run(
    gallery: Gallery | None,
    work: Work,
    num_added: int,
    unreadable: Mapping[str, str],
    seconds: float,
) -> None:
    """Log what a run has indexed.

    Args:
        gallery: the gallery, if there is one now.
        work: what there was to do.
        num_added: number of videos that were indexed.
        unreadable: why files cannot be read, by path.
        seconds: what it took.
    """
    held = 'There is no gallery yet.'
    if gallery is not None:
        held = f'The gallery {gallery.folder} holds {len(gallery):,}.'
    print_log(
        f'Indexed {num_added:,} videos in {seconds:.1f} s ({num_added / seconds:.1f} per second); '
        f'{work.num_known:,} were known, {len(unreadable):,} cannot be read. {held} '
        f'{list_reasons(unreadable)}{describe(work.listing)}',
        logger='current',
    )
