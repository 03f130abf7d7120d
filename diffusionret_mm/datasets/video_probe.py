"""Probing of a video file: what it holds, and whether its first and last frame can be read."""

from __future__ import annotations

import os
from dataclasses import dataclass

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import FramesChangedError, open_video


@dataclass(frozen=True)
class VideoInfo:
    """What was found in a video file.

    Attributes:
        decoder: what read it: 'pyav'.
        frames: number of frames that a player shows.
        fps: mean frame rate; 0 if unknown.
        duration: seconds, frames / fps; 0 if unknown.
        width: width of a frame in pixels, as it is shown.
        height: height of a frame in pixels, as it is shown.
        broken_tail: what is wrong with the end of the file; empty if nothing is.
    """

    decoder: str
    frames: int
    fps: float
    duration: float
    width: int
    height: int
    broken_tail: str = ''


def probe_video(path: str | os.PathLike[str]) -> VideoInfo:
    """Open a video, count its frames, and decode its first one and its last one.

    Where the index of a container is known to lead to its frames, only those from the last key
    frame on are decoded. Elsewhere all are, to count those that are shown.

    Args:
        path: the file.

    Raises:
        VideoReadError: if it cannot be read; it says why.
    """
    path = os.fspath(path)
    if not os.path.getsize(path):
        raise VideoReadError('the file is empty')
    with open_video(path) as video:
        before = len(video.table)
        try:
            first, _ = video.read([0, before - 1])
        except FramesChangedError:
            (first,) = video.read([0])
        height, width = first.shape[:2]
        return VideoInfo(
            'pyav',
            len(video.table),
            round(video.fps, 6),
            round(video.duration, 6),
            width,
            height,
            video.broken_tail,
        )
