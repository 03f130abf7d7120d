"""Video files in a form that browsers play."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from fractions import Fraction
from pathlib import Path

import av

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.storage.files import written_beside
from diffusionret_mm.storage.fingerprint import fingerprint_of, version_of_file
from diffusionret_mm.storage.pool import run_in_parallel

PLAYABLE_CODECS = {'h264', 'vp8', 'vp9', 'av1'}
PLAYABLE_SUFFIXES = {'.mp4', '.webm', '.m4v', '.mov'}
FRAME_RATE = 25
MAX_SIDE = 480
MAX_SECONDS = 60
COPIES_AT_ONCE = 4


class Playback:
    """Finds a playable file of a video: the video itself, or a copy in H.264 that is made once.

    A copy has no sound, is 480 pixels wide and high at most, and ends after a minute. It is made in
    a process of its own; a video that takes too long is given up.

    Args:
        folder: where copies are kept.
        timeout: seconds that a copy may take.
    """

    def __init__(self, folder: Path, timeout: float = 60) -> None:
        self.folder = folder
        self.timeout = timeout
        self._copies: dict[Path, Future[Path]] = {}
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(COPIES_AT_ONCE)

    def file_for(self, path: str) -> Path:
        """Return a file that a browser plays.

        Args:
            path: the video.

        Raises:
            av.error.FFmpegError, ValueError, IndexError: if it cannot be opened.
            VideoReadError: if it cannot be copied, or not in time.
        """
        original = Path(path)
        with av.open(path) as container:
            codec = container.streams.video[0].codec_context.name
        if codec in PLAYABLE_CODECS and original.suffix.lower() in PLAYABLE_SUFFIXES:
            return original
        copy = self.folder / f'{fingerprint_of([path, *version_of_file(path)])}.mp4'
        with self._lock:
            is_first = copy not in self._copies
            future = self._copies.setdefault(copy, Future())
        if is_first:  # the others wait for this copy, and for no other one
            self._make(path, copy, future)
        return future.result()

    def _make(self, path: str, copy: Path, future: Future[Path]) -> None:
        limits = dict(workers=1, title=None, failures=VideoReadError, timeout=self.timeout)
        try:
            with self._slots:
                ((_, _, error),) = run_in_parallel(_write_copy, [(path, copy)], **limits)
        except BaseException as error:
            future.set_exception(error)
            raise
        if error:
            future.set_exception(VideoReadError(f'{path} cannot be copied for browsers: {error}'))
        else:
            future.set_result(copy)


def _write_copy(task: tuple[str, Path]) -> None:
    path, copy = task
    try:
        with written_beside(copy) as scratch:
            _transcode(path, scratch)
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise VideoReadError(f'{type(error).__name__}: {error}') from error


def _transcode(source: str, target: Path) -> None:
    with av.open(source) as container, av.open(str(target), 'w', format='mp4') as output:
        stream = container.streams.video[0]
        rate = stream.average_rate or Fraction(FRAME_RATE)
        scale = min(1.0, MAX_SIDE / max(stream.width, stream.height))
        encoder = output.add_stream('libx264', rate=rate)
        # H.264 wants even sides.
        encoder.width, encoder.height = (
            max(2, round(side * scale / 2) * 2) for side in (stream.width, stream.height)
        )
        encoder.pix_fmt = 'yuv420p'
        for number, frame in enumerate(container.decode(stream)):
            if number >= MAX_SECONDS * rate:
                break
            shown = frame.reformat(encoder.width, encoder.height, 'yuv420p')
            shown.pts, shown.time_base = number, 1 / rate
            output.mux(encoder.encode(shown))
        output.mux(encoder.encode())
