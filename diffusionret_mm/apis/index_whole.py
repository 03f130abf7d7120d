"""Indexing of whole videos: some frames of each, many videos at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diffusionret_mm.apis.decoding import decode_in_parallel
from diffusionret_mm.apis.filling import GalleryFiller
from diffusionret_mm.apis.replicas import Replicas
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.search import Span
from diffusionret_mm.search.pooling import span_arrays

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer


def index_whole(
    inferencer: TextVideoInferencer,
    filler: GalleryFiller,
    devices: Sequence[torch.device],
    workers: int,
) -> None:
    """Index each video as one span, by the whole test pipeline of the config.

    Args:
        inferencer: the model.
        filler: has the files, and takes the spans.
        devices: where to encode.
        workers: number of decoding processes.
    """
    batches = _Batches(inferencer, filler, devices)
    results = decode_in_parallel(
        inferencer.transforms,
        list(filler.files),
        workers,
        inferencer.show_progress,
        partial(time_limit, seconds=inferencer.time_limit),
        when_idle=batches.add_waiting,
    )
    with closing(batches), closing(results):
        for path, item, error in results:
            if item is None:
                filler.note_unreadable(path, error)
            else:
                filler.note_broken_tail(path, error)
                batches.take(path, item)
        batches.add_waiting()


def encode_videos(
    inferencer: TextVideoInferencer, items: Sequence[dict[str, Any]]
) -> tuple[list[float], dict[str, np.ndarray]]:
    """Encode decoded videos: their durations in seconds, and the arrays of a gallery."""
    videos = inferencer.encode_items(items)
    return [float(item['duration']) for item in items], span_arrays(inferencer.model, videos)


class _Batches:
    """Collects decoded videos into batches, encodes them and adds them to the gallery."""

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        filler: GalleryFiller,
        devices: Sequence[torch.device],
    ) -> None:
        self._size = inferencer.batch_size
        self._filler = filler
        self._items: dict[str, dict[str, Any]] = {}
        self._replicas = Replicas(inferencer, devices, encode_videos)

    def close(self) -> None:
        """Drop the batches that no device has begun."""
        self._replicas.close()

    def take(self, path: str, item: dict[str, Any]) -> None:
        """Take a decoded video."""
        self._items[path] = item
        if len(self._items) == self._size:
            self._encode_items()

    def add_waiting(self) -> None:
        """Add what is decoded, be it less than a batch: the next video may take long."""
        if self._items:
            self._encode_items()
        self._add(self._replicas.finish())
        self._filler.commit_if_due()

    def _encode_items(self) -> None:
        items, self._items = self._items, {}
        self._add(self._replicas.submit(items))

    def _add(self, results: Sequence[tuple[list[str], Any]]) -> None:
        for paths, (ends, arrays) in results:
            files = [self._filler.files[path] for path in paths]
            spans = [Span(file, 0.0, end) for file, end in zip(files, ends, strict=True)]
            self._filler.add(spans, arrays)
