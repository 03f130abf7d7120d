"""Indexing of the spans of videos: each file is read once, and each frame encoded once."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.decoding import named_read_errors
from diffusionret_mm.apis.filling import GalleryFiller
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.spans import Moments, PlannedSpan, SpanReader, StreamedSpan
from diffusionret_mm.datasets.video_reading import FramesChangedError, open_video, time_limit
from diffusionret_mm.export import ExportError
from diffusionret_mm.features.spans import SpanEncoder, blocks_of
from diffusionret_mm.search import Span, VideoFile
from diffusionret_mm.search.pooling import span_arrays
from diffusionret_mm.storage.streams import Event, StreamJob, stream_in_parallel

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer
    from diffusionret_mm.models.retrievers import TextVideoRetriever

# Blocks of a video that may wait for their device.
BLOCKS_AHEAD = 1

Arrays = dict[str, np.ndarray]


def index_spans(
    inferencer: TextVideoInferencer,
    filler: GalleryFiller,
    devices: Sequence[torch.device],
    workers: int | None,
    moments: Moments,
) -> None:
    """Index the spans of each video; a video is added once it was read to its end.

    Args:
        inferencer: the model.
        filler: has the files, and takes the spans.
        devices: where to encode; a video is encoded on one of them.
        workers: number of decoding processes, each of which reads a video; None: one per CPU core.
        moments: how videos are cut into spans.

    Raises:
        ExportError: if the encoders are those of ONNX.
        ModuleNotFoundError: if spans end at cuts and PySceneDetect is not installed.
        ValueError: if the test pipeline does not read frame by frame.
    """
    if inferencer.encoders is not inferencer.model:
        raise ExportError(
            f'ONNX encoders read whole videos, and {moments} are wanted: leave out --onnx, or take '
            '--moments none.'
        )
    reader = SpanReader(inferencer.transforms, moments)
    job = StreamJob(
        partial(read_blocks, pickle.dumps(inferencer.transforms), moments),
        VideoReadError,
        partial(time_limit, seconds=inferencer.time_limit),
    )
    run = _SpanRun(inferencer, filler, devices, reader.num_frames)
    title = 'videos' if inferencer.show_progress else None
    events = stream_in_parallel(job, list(filler.files), workers, title, filler.commit_if_due)
    with closing(run), closing(events):
        for event in events:
            run.take(event)


@dataclass(frozen=True)
class SpanBlock:
    """The next spans of a video.

    Attributes:
        spans: spans with their frames.
        is_first: whether they are the first; what came of the video before is then void.
        broken_tail: what is wrong with the end of the file, as far as it is known.
    """

    spans: list[StreamedSpan]
    is_first: bool
    broken_tail: str


def read_blocks(transforms: bytes, moments: Moments, path: str) -> Iterator[SpanBlock]:
    """Read the spans of a video, in a process of its own: it leaves torch with one thread.

    Args:
        transforms: what `video_transforms` returns, pickled.
        moments: how videos are cut into spans.
        path: the file.

    Raises:
        VideoReadError: if it cannot be read.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # its threads do not live on in a forked process
    init_default_scope('mmaction')
    reader = SpanReader(pickle.loads(transforms), moments)
    with named_read_errors(), open_video(path) as video:
        while True:
            try:
                for number, block in enumerate(blocks_of(reader.stream(video))):
                    yield SpanBlock(block, number == 0, video.broken_tail)
                return
            except FramesChangedError:  # the video knows better now
                continue


class _SpanRun:
    """Encodes what was read of several videos at a time."""

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        filler: GalleryFiller,
        devices: Sequence[torch.device],
        num_frames: int,
    ) -> None:
        self._filler = filler
        self._num_frames = num_frames
        several = len(devices) > 1
        self._devices = [_Device(inferencer.on(device), several) for device in devices]
        self._videos: dict[str, _VideoSpans] = {}

    def close(self) -> None:
        """Drop what no device has begun."""
        for device in self._devices:
            device.close()

    def take(self, event: Event[str]) -> None:
        """Take a block of spans, or the end of a video."""
        path = event.task
        if event.error is None:
            if path not in self._videos:
                self._videos[path] = _VideoSpans(self._least_busy(), self._num_frames)
            self._videos[path].add(event.part)
            self._filler.note_broken_tail(path, event.part.broken_tail)
        elif event.error:
            self._videos.pop(path, None)  # there is none if no block has come
            self._filler.note_unreadable(path, event.error)
        else:
            self._filler.add(*self._videos.pop(path).finish(self._filler.files[path]))
        self._filler.commit_if_due()

    def _least_busy(self) -> _Device:
        busy = [video.device for video in self._videos.values()]
        return min(self._devices, key=busy.count)


class _Device:
    """A copy of the model; one of several has a thread of its own."""

    def __init__(self, inferencer: TextVideoInferencer, is_one_of_several: bool) -> None:
        self.model = inferencer.model
        self._pool = ThreadPoolExecutor(1) if is_one_of_several else None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future:
        """Call a function, after those that were submitted before."""
        if self._pool is not None:
            return self._pool.submit(function, *args)
        done: Future = Future()
        done.set_result(function(*args))
        return done

    def close(self) -> None:
        """Drop what has not begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _VideoSpans:
    """The spans of a video that are encoded by now."""

    def __init__(self, device: _Device, num_frames: int) -> None:
        self.device = device
        self._num_frames = num_frames

    def add(self, block: SpanBlock) -> None:
        """Encode a block; wait if too much is waiting already."""
        if block.is_first:
            self._encoder = SpanEncoder(self.device.model, self._num_frames)
            self._running: deque[Future] = deque()
            self._spans: list[PlannedSpan] = []
            self._parts: list[Arrays] = []
        model = self.device.model
        self._running.append(self.device.submit(_encode, model, self._encoder, block.spans))
        while len(self._running) > BLOCKS_AHEAD:
            self._take_first()

    def finish(self, file: VideoFile) -> tuple[list[Span], Arrays]:
        """Return all spans and their arrays, [n, ...]."""
        while self._running:
            self._take_first()
        arrays = {
            name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]
        }
        return [Span(file, span.start, span.end, span.kind) for span in self._spans], arrays

    def _take_first(self) -> None:
        spans, arrays = self._running.popleft().result()
        self._spans += spans
        self._parts.append(arrays)


def _encode(
    model: TextVideoRetriever, encoder: SpanEncoder, block: Sequence[StreamedSpan]
) -> tuple[list[PlannedSpan], Arrays]:
    spans, videos = encoder.encode_block(block)
    return spans, span_arrays(model, videos)
