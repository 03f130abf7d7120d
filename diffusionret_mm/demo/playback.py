"""Video files in a form that browsers play."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import open_video
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


class Playback:
    """Finds a playable file of a video: the video itself, or a copy in H.264 that is made once.

    A copy has no sound, is 480 pixels wide and high at most, and ends after a minute. Files are
    read in a process of their own, which is ended if it takes too long. Meanwhile only those who
    want the same file wait.

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

    def file_for(self, path: str) -> Path:
        """Return a file that a browser plays.

        Args:
            path: the video.

        Raises:
            VideoReadError: if it cannot be read or copied, or not in time.
        """
        copy = self.folder / f'{fingerprint_of([path, *version_of_file(path)])}.mp4'
        with self._lock:
            is_first = copy not in self._files
            future = self._files.setdefault(copy, Future())
        if is_first:  # the others wait for this file, and for no other one
            self._make(path, copy, future)
        return future.result()

    def _make(self, path: str, copy: Path, future: Future[Path]) -> None:
        limits = dict(workers=1, title=None, failures=VideoReadError, timeout=self.timeout)
        try:
            with self._slots:
                ((_, found, error),) = run_in_parallel(_make_playable, [(path, copy)], **limits)
        except BaseException as error:
            future.set_exception(error)
            raise
        if error:
            future.set_exception(VideoReadError(f'{path} cannot be copied for browsers: {error}'))
        else:
            future.set_result(found)


def _make_playable(task: tuple[str, Path]) -> Path:
    """Return the video itself, or its copy, which is made now.

    Browsers turn a video as it is to be shown, but not all of them mirror it.
    """
    path, copy = task
    with open_video(path) as video:
        is_playable = (
            video.codec in PLAYABLE_CODECS
            and Path(path).suffix.lower() in PLAYABLE_SUFFIXES
            and not video.orientation.is_mirrored
        )
    if is_playable:
        return Path(path)
    try:
        with written_beside(copy) as scratch:
            _transcode(path, scratch)
    except av.error.FFmpegError as error:
        raise VideoReadError(describe(error)) from error
    return copy


def _transcode(source: str, target: Path) -> None:
    """Encode the first minute, turned and mirrored as it is to be shown."""
    with open_video(source) as video, av.open(str(target), 'w', format='mp4') as output:
        encoder = output.add_stream('libx264', rate=Fraction(video.fps or FRAME_RATE))
        encoder.time_base = encoder.codec_context.time_base = Fraction(1, TICKS)
        encoder.pix_fmt = 'yuv420p'
        first, last = None, -1
        for shown in video.frames():
            first = shown.start if first is None else first
            if shown.start - first >= MAX_SECONDS:
                break
            if last < 0:
                encoder.width, encoder.height = _size(*shown.image.shape[:2])
            last = max(last + 1, round((shown.start - first) * TICKS))
            frame = av.VideoFrame.from_ndarray(shown.image, 'rgb24')
            frame = frame.reformat(encoder.width, encoder.height, 'yuv420p')
            frame.pts, frame.time_base = last, Fraction(1, TICKS)
            output.mux(encoder.encode(frame))
        output.mux(encoder.encode())


def _size(height: int, width: int) -> tuple[int, int]:
    """Return width and height of a copy; H.264 wants even sides."""
    scale = min(1.0, MAX_SIDE / max(height, width))
    even_width, even_height = (max(2, round(side * scale / 2) * 2) for side in (width, height))
    return even_width, even_height
