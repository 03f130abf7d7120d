"""Video files in a form that browsers play."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import FramesChangedError, Video, open_video
from diffusionret_mm.datasets.video_reading.container import describe
from diffusionret_mm.storage.files import written_beside
from diffusionret_mm.storage.fingerprint import fingerprint_of, version_of_file
from diffusionret_mm.storage.pool import run_in_parallel

PLAYABLE_CODECS = {'h264', 'vp8', 'vp9', 'av1'}
PLAYABLE_SUFFIXES = {'.mp4', '.webm', '.m4v', '.mov'}
FRAME_RATE = 25
MAX_SIDE = 480
MAX_SECONDS = 60
# Ticks of a copy per second: frames keep their times.
TICKS = 1000
COPIES_AT_ONCE = 4
# Seconds: spans are kept to the millisecond.
TOLERANCE = 0.0005

# A video, the second from which it is to be played, and the copy that may be made.
Task = tuple[str, float, Path]


class Playback:
    """Finds a playable file of a video: the video itself, or a copy in H.264 that is made once.

    A copy has no sound and is 480 pixels wide and high at most. A minute of it moves, from the
    second that is asked for; before and after that it shows a still, so that its times are those
    of the video. Files are read in a process of their own, which is ended if it takes too long.
    Meanwhile only those who want the same file wait.

    Args:
        folder: where copies are kept.
        timeout: seconds that a file may take.
    """

    def __init__(self, folder: Path, timeout: float = 60) -> None:
        self.folder = folder
        self.timeout = timeout
        self._files: dict[Path, Future[Path]] = {}
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(COPIES_AT_ONCE)

    def file_for(self, path: str, start: float = 0.0) -> Path:
        """Return a file that a browser plays.

        Args:
            path: the video.
            start: second from which it is to be played.

        Raises:
            VideoReadError: if it cannot be read or copied, or not in time.
        """
        version = fingerprint_of([path, *version_of_file(path), start])
        copy = self.folder / f'{version}.mp4'
        with self._lock:
            is_first = copy not in self._files
            future = self._files.setdefault(copy, Future())
        if is_first:  # the others wait for this file, and for no other one
            self._make((path, start, copy), future)
        return future.result()

    def _make(self, task: Task, future: Future[Path]) -> None:
        limits: dict[str, Any] = dict(
            workers=1, title=None, failures=VideoReadError, timeout=self.timeout
        )
        try:
            with self._slots:
                ((_, found, reason),) = run_in_parallel(_make_playable, [task], **limits)
        except BaseException as error:
            future.set_exception(error)
            raise
        if reason:
            future.set_exception(
                VideoReadError(f'{task[0]} cannot be copied for browsers: {reason}')
            )
        else:
            future.set_result(found)


def _make_playable(task: Task) -> Path:
    """Return the video itself, or its copy, which is made now.

    Browsers turn a video as it is to be shown, but not all of them mirror it.
    """
    path, start, copy = task
    with open_video(path) as video:
        is_playable = (
            video.codec in PLAYABLE_CODECS
            and Path(path).suffix.lower() in PLAYABLE_SUFFIXES
            and not video.orientation.is_mirrored
        )
        if is_playable:
            return Path(path)
        try:
            return _copy(video, start, copy)
        except FramesChangedError:  # the video knows better now
            return _copy(video, start, copy)


def _copy(video: Video, start: float, copy: Path) -> Path:
    """Write a copy that moves from a second on."""
    try:
        with written_beside(copy) as scratch, av.open(str(scratch), 'w', format='mp4') as output:
            _encode(video, start, output)
    except av.error.FFmpegError as error:
        raise VideoReadError(describe(error)) from error
    return copy


def _encode(video: Video, start: float, output: OutputContainer) -> None:
    """Encode a minute, turned and mirrored as it is to be shown, between two stills."""
    times = video.table.times
    first = min(int(np.searchsorted(times, start - TOLERANCE)), len(times) - 1)
    stop = int(np.searchsorted(times, times[first] + MAX_SECONDS))
    picture = _Picture(output, video.fps)
    for number, image in video.stream(range(first, stop)):
        if number == first > 0:
            picture.show(image, 0.0)
        picture.show(image, float(times[number]))
    if stop < len(times):
        picture.show(image, float(times[-1]))
    picture.close()


class _Picture:
    """The pictures of a copy, in H.264.

    Args:
        output: where they go.
        fps: frames per second; 0 if unknown.
    """

    def __init__(self, output: OutputContainer, fps: float) -> None:
        self._output = output
        self._encoder = output.add_stream('libx264', rate=Fraction(fps or FRAME_RATE))
        self._encoder.time_base = self._encoder.codec_context.time_base = Fraction(1, TICKS)
        self._encoder.pix_fmt, self._encoder.options = 'yuv420p', {'preset': 'veryfast', 'bf': '0'}
        self._last = -1

    def show(self, image: np.ndarray, seconds: float) -> None:
        """Show an image [H, W, 3] uint8 from a second on; the first one sets the size."""
        encoder = self._encoder
        if self._last < 0:
            encoder.width, encoder.height = _size(*image.shape[:2])
        self._last = max(self._last + 1, round(seconds * TICKS))
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), 'rgb24')
        frame = frame.reformat(encoder.width, encoder.height, 'yuv420p')
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._output.mux(encoder.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        self._output.mux(self._encoder.encode())


def _size(height: int, width: int) -> tuple[int, int]:
    """Return width and height of a copy; H.264 wants even sides."""
    scale = min(1.0, MAX_SIDE / max(height, width))
    even_width, even_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return even_width, even_height
