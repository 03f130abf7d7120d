"""Video files in a form that browsers play."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path

import av

from diffusionret_mm.storage.files import written_beside
from diffusionret_mm.storage.fingerprint import fingerprint_of, version_of_file

PLAYABLE_CODECS = {'h264', 'vp8', 'vp9', 'av1'}
PLAYABLE_SUFFIXES = {'.mp4', '.webm', '.m4v', '.mov'}
FRAME_RATE = 25
MAX_SIDE = 480
MAX_SECONDS = 60


class Playback:
    """Finds a playable file of a video: the video itself, or a copy in H.264 that is made once.

    A copy has no sound, is 480 pixels wide and high at most, and ends after a minute.

    Args:
        folder: where copies are kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def file_for(self, path: str) -> Path:
        """Return a file that a browser plays.

        Args:
            path: the video.

        Raises:
            av.error.FFmpegError, ValueError, IndexError: if it cannot be read.
        """
        original = Path(path)
        with av.open(path) as container:
            codec = container.streams.video[0].codec_context.name
        if codec in PLAYABLE_CODECS and original.suffix.lower() in PLAYABLE_SUFFIXES:
            return original
        copy = self.folder / f'{fingerprint_of([path, *version_of_file(path)])}.mp4'
        with self._lock:  # one copy at a time, each once
            if not copy.is_file():
                with written_beside(copy) as scratch:
                    _transcode(path, scratch)
        return copy


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
