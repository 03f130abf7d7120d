"""Frames read from the key frame before each: only where every step can be checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from diffusionret_mm.datasets.video_reading.frame_table import FrameTable


class OutOfStepError(RuntimeError):
    """Decoding gave other frames than the table says."""


class Seeker:
    """Reads the frames of a table from a container whose index is right.

    Each frame that is decoded must be the next one of the table by its time of presentation.

    Args:
        container: the container.
        stream: its stream of pictures.
        table: the frames; it `can_seek`.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, table: FrameTable) -> None:
        self._container = container
        self._stream = stream
        self._table = table
        self._number_of = {pts: number for number, pts in enumerate(table.pts)}
        self._frames: Iterator[VideoFrame] = iter(())
        self._last = -1

    def read(
        self, numbers: Iterable[int], take: Callable[[VideoFrame], Any]
    ) -> Iterator[tuple[int, Any]]:
        """Read frames.

        Args:
            numbers: which ones, ascending, each once.
            take: what is made of each; it is called before the next frame is decoded.

        Yields:
            Number, and what `take` returned.

        Raises:
            OutOfStepError: if other frames come.
        """
        self._last = len(self._table)  # behind all: the first frame needs a seek
        try:
            for number in numbers:
                yield number, take(self._read_one(number))
            self._read_end()
        except av.error.FFmpegError as error:
            raise OutOfStepError(str(error)) from error

    def _read_one(self, number: int) -> VideoFrame:
        first, key = self._table.key_before(number)
        if not first <= self._last + 1 <= number:
            self._container.seek(key, stream=self._stream)
            self._frames = self._container.decode(self._stream)
            frame = self._find(first)
            if first == number:
                return frame
        for frame in self._frames:
            if frame.is_corrupt or self._number_of.get(frame.pts) != self._last + 1:
                raise OutOfStepError(f'frame {self._last + 1} is not the one that comes')
            self._last += 1
            if self._last == number:
                return frame
        raise OutOfStepError(f'frame {number} does not come')

    def _read_end(self) -> None:
        """Decode up to the last frame if no key frame is in between: files are cut there."""
        last = len(self._table) - 1
        if self._table.key_before(last)[0] <= self._last < last:
            self._read_one(last)

    def _find(self, first: int) -> VideoFrame:
        """Go to a key frame; the frames shown before it need others before it."""
        for frame in self._frames:
            number = self._number_of.get(frame.pts, -1)
            if number == first:
                self._last = first
                return frame
            if number > first:
                break
        raise OutOfStepError(f'frame {first} does not come')
