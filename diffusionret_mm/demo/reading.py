"""Files that the page reads, in processes of their own: they may crash, or take for ever."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.decoding import Transforms, decode, named_read_errors
from diffusionret_mm.apis.images import decode_image
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import FramesChangedError, open_video
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.uploads import check_container, check_image
from diffusionret_mm.search import FoundSpan
from diffusionret_mm.storage.pool import run_in_parallel

Item = dict[str, torch.Tensor]
MAX_SECONDS = 30.0


class FileReader:
    """Reads videos and images as the config of a gallery has them.

    Args:
        transforms: how videos are decoded.
        moments: how the videos of the gallery are cut.
        max_seconds: time that a file may take.
    """

    def __init__(
        self, transforms: Transforms, moments: Moments, max_seconds: float = MAX_SECONDS
    ) -> None:
        self.max_seconds = max_seconds
        self._transforms = pickle.dumps(transforms)
        self._moments = moments

    def uploaded_video(self, file: str) -> Item:
        """Decode an uploaded video.

        Raises:
            RequestError: if it cannot be read as a video, or not in time.
        """
        self._run(check_container, file, 'a video')
        return _tensors(self._run(partial(decode, self._transforms), file, 'a video'))

    def uploaded_image(self, file: str) -> Item:
        """Decode an uploaded image as a video of one frame.

        Raises:
            RequestError: if it cannot be read as an image, or not in time.
        """
        self._run(check_image, file, 'an image')
        return _tensors(self._run(partial(decode_image, self._transforms), file, 'an image'))

    def frames(self, span: FoundSpan) -> np.ndarray:
        """Return the frames of a span that the model has seen, [n, H, W, 3] uint8.

        Raises:
            RequestError: if its video cannot be read, or not in time.
        """
        if self._moments.kind == 'none':
            item = self._run(partial(decode, self._transforms), span.path, 'a video')
            return item['frames'].transpose(0, 2, 3, 1)[item['frame_mask']]
        read = partial(read_span, self._transforms, self._moments, span)
        return self._run(read, span.path, 'a video')

    def _run(self, function: Callable[[str], Any], file: str, kind: str) -> Any:
        options: dict[str, Any] = dict(
            workers=1, title=None, failures=VideoReadError, timeout=self.max_seconds
        )
        ((_, result, error),) = run_in_parallel(function, [file], **options)
        if error:  # it may contain paths of this machine
            raise RequestError(
                f'This file cannot be read as {kind}, or not in {self.max_seconds:g} seconds.'
            ) from VideoReadError(error)
        return result


def read_span(transforms: bytes, moments: Moments, span: FoundSpan, path: str) -> np.ndarray:
    """Read the frames of a span, in a process of its own: it leaves torch with one thread.

    Args:
        transforms: what `video_transforms` returns, pickled.
        moments: how videos are cut into spans.
        span: the span.
        path: its video.

    Returns:
        The frames, [n, H, W, 3] uint8.

    Raises:
        VideoReadError: if it cannot be read.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # its threads do not live on in a forked process
    init_default_scope('mmaction')
    reader = SpanReader(pickle.loads(transforms), moments)
    part = span.start, span.end, span.kind
    with named_read_errors(), open_video(path) as video:
        try:
            return np.stack(reader.read_one(video, *part))
        except FramesChangedError:  # the video knows better now
            return np.stack(reader.read_one(video, *part))


def _tensors(item: dict[str, np.ndarray]) -> Item:
    return {key: torch.from_numpy(value) for key, value in item.items()}
