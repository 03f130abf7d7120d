"""A video file: which frames a player shows, and those frames."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading.container import (
    decode_all,
    open_container,
    read_errors,
)
from diffusionret_mm.datasets.video_reading.frame_table import (
    WITHOUT_TIMES,
    FrameTable,
    read_packets,
    table_of_packets,
    times_of,
)
from diffusionret_mm.datasets.video_reading.orientation import Orientation, orientation_of
from diffusionret_mm.datasets.video_reading.seeking import OutOfStepError, Seeker


class FramesChangedError(RuntimeError):
    """The shown frames are others than the packets promised; `Video.table` is right now."""


@dataclass(frozen=True)
class ShownFrame:
    """A frame as it is shown.

    Attributes:
        start: second at which it appears.
        end: second at which the next one does.
        image: [H, W, 3] uint8, turned and mirrored as it is to be shown.
    """

    start: float
    end: float
    image: np.ndarray


class Video:
    """The frames of a file that a player shows, in the order in which it shows them.

    Frames are found by their times of presentation. Where the index of a container is known to lead
    to them, decoding starts at the key frame before. Elsewhere, and where a frame that comes is not
    the next one, all frames are decoded in order. Those that were asked for are kept.

    Args:
        path: the file.

    Attributes:
        path: the file.
        table: the frames.
        format: name of the container, as FFmpeg calls it.
        codec: name of the codec.
        fps: mean frame rate; 0 if unknown.
        nominal_fps: the rate that the file states or FFmpeg guesses; 0 if unknown.
        promised: number of frames that the header promises; 0 if it does not.
        hidden: number of frames that are there, but not shown.

    Raises:
        VideoReadError: if there is no frame to read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._container, self._stream = open_container(self.path, is_strict=True)
        self._converter = VideoReformatter()
        try:
            with read_errors():
                self._describe()
        except VideoReadError:
            self.close()
            raise

    def _describe(self) -> None:
        stream, container = self._stream, self._container
        self.format, self.codec = container.format.name, stream.codec_context.codec.canonical_name
        self.fps = float(stream.average_rate or stream.guessed_rate or 0)
        self.nominal_fps = float(stream.guessed_rate or stream.average_rate or 0)
        self.promised = stream.frames
        self._tick = float(stream.time_base)
        start = None if self.format in WITHOUT_TIMES else container.start_time
        self._start = None if start is None else max(start, 0) / 1e6
        packets = read_packets(container, stream)
        self.hidden = packets.hidden
        self._last = packets.last_duration * self._tick
        self.table = table_of_packets(packets, self.fps, self._tick, self._start)
        self._packets = len(self.table)
        if not self._packets:
            raise VideoReadError('it has no frame')

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    @cached_property
    def orientation(self) -> Orientation:
        """How the first frame is to be shown."""
        frames = self._all_frames()
        try:
            return orientation_of(next(frames))
        finally:
            frames.close()

    @property
    def stream_times(self) -> np.ndarray:
        """Times of presentation of the frames that are found by them, in seconds [N]."""
        return np.array(self.table.pts) * self._tick

    @property
    def duration(self) -> float:
        """Seconds: frames / fps; 0 if unknown."""
        return len(self.table) / self.fps if self.fps > 0 else 0.0

    @property
    def end(self) -> float:
        """Second at which the last frame ends."""
        return float(self.table.times[-1]) + self._period

    @property
    def broken_tail(self) -> str:
        """What is wrong with the end of the file, as far as was found by now; empty if nothing is.

        A file that was cut off while it was fetched may be readable up to there without any error.
        """
        if len(self.table) < self._packets:
            return f'its last frames cannot be decoded: {len(self.table)} of {self._packets} can'
        there = len(self.table) + self.hidden
        if there < self.promised:
            return f'its header promises {self.promised} frames, {there} are there'
        return ''

    @property
    def _period(self) -> float:
        """Seconds for which the last frame is shown."""
        period = float(np.diff(self.table.times[:2]).sum()) or 1.0
        if self.fps > 0:
            period = 1 / self.fps
        # Of a variable rate the mean says little: a still may be among few frames.
        return self._last if 0 < self._last < period / 2 else period

    def read(self, numbers: Sequence[int]) -> list[np.ndarray]:
        """Return frames as they are to be shown, [H, W, 3] uint8 each.

        Args:
            numbers: which frames of the table.

        Raises:
            FramesChangedError: if other frames are shown than the table says; ask again.
            VideoReadError: if none can be decoded.
        """
        images = dict(self.stream(numbers))
        return [images[int(number)] for number in numbers]

    def stream(self, numbers: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        """Yield frames as they are to be shown, each once, in order, one at a time in memory.

        Args:
            numbers: which frames of the table.

        Yields:
            Number and image [H, W, 3] uint8 of each.

        Raises:
            FramesChangedError: at the end, if other frames are shown than the table says; ask
                again.
            VideoReadError: if none can be decoded.
        """
        wanted = deque(sorted({int(number) for number in numbers}))
        if self.table.can_seek:
            seeker = Seeker(self._container, self._stream, self.table)
            try:
                for number, image in seeker.read(list(wanted), self._image):
                    wanted.popleft()
                    yield number, image
                return
            except OutOfStepError:
                self.table = replace(self.table, pts=[], keys=[])
        yield from self._read_in_order(wanted)

    def confirm(self) -> bool:
        """Count the frames by decoding all, once; return whether there are others."""
        if self.table.is_exact:
            return False
        try:
            deque(self._read_in_order([]), maxlen=0)
        except FramesChangedError:
            return True
        return False

    def frames(self) -> Iterator[ShownFrame]:
        """Yield all frames, one at a time in memory.

        Raises:
            VideoReadError: if none can be decoded.
        """
        times = self.table.times
        period = self._period
        waiting: tuple[float, VideoFrame] | None = None
        for number, frame in enumerate(self._all_frames()):
            start = times[number] if number < len(times) else times[-1] + period
            if waiting is not None:
                yield ShownFrame(waiting[0], float(start), self._image(waiting[1]))
            waiting = float(start), frame
        if waiting is not None:
            yield ShownFrame(waiting[0], waiting[0] + period, self._image(waiting[1]))

    def _read_in_order(self, wanted: Iterable[int]) -> Iterator[tuple[int, np.ndarray]]:
        keep, pts = set(wanted), []
        for number, frame in enumerate(self._all_frames()):
            pts.append(frame.pts)
            if number in keep:
                yield number, self._image(frame)
        self._compare(pts)

    def _compare(self, pts: list[int | None]) -> None:
        """Check the table against the frames that came, and set it right."""
        table = self.table
        times = times_of(pts, self.fps, self._tick, self._start)
        same = len(times) == len(table) and np.allclose(times, table.times, rtol=0, atol=1e-6)
        if same:
            self.table = replace(table, is_exact=True)
            return
        if table.is_exact:
            raise VideoReadError('decoding it twice gives different frames')
        self.table = FrameTable(times, is_exact=True)
        raise FramesChangedError(f'{self.path} shows {len(times)} frames.')

    def _all_frames(self) -> Generator[VideoFrame, None, None]:
        container, stream = open_container(self.path)
        number = -1
        try:
            with read_errors():
                for number, frame in enumerate(decode_all(container, stream)):  # noqa: B007
                    yield frame
        finally:
            container.close()
        if number < 0:
            raise VideoReadError('no frame can be decoded')

    def _image(self, frame: VideoFrame) -> np.ndarray:
        converted = self._converter.reformat(frame, format='rgb24', threads=1)
        return orientation_of(frame).apply(converted.to_ndarray())


@contextmanager
def open_video(path: str | os.PathLike[str]) -> Iterator[Video]:
    """Open a video, and close it at the end.

    Args:
        path: the file.

    Raises:
        VideoReadError: if there is no frame to read.
    """
    video = Video(path)
    try:
        yield video
    finally:
        video.close()
