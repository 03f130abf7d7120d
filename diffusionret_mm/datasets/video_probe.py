"""Probing of a video file: what it holds, and whether its first and last frame can be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import av
import cv2
import decord

from diffusionret_mm.datasets.errors import VideoReadError


@dataclass(frozen=True)
class VideoInfo:
    """What was found in a video file.

    Attributes:
        decoder: the first of 'decord', 'pyav' and 'opencv' that opened it and read a frame.
        frames: number of frames, as that decoder counts them.
        fps: mean frame rate; 0 if unknown.
        duration: seconds, frames / fps; 0 if unknown.
        width: width of a frame in pixels.
        height: height of a frame in pixels.
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
    """Open a video, and decode its first frame and its last one.

    Only the frames from the last key frame on are decoded, so this costs little even for long
    videos.

    Args:
        path: the file.

    Raises:
        VideoReadError: if no decoder reads it; it says why for each.
    """
    path = os.fspath(path)
    if not os.path.getsize(path):
        raise VideoReadError('the file is empty')
    errors = []
    for name, probe in PROBES.items():
        try:
            return _with_promise(probe(path), path)
        except Exception as error:  # decoders raise errors of nearly any class
            errors.append(f'{name}: {type(error).__name__}: {_last_line(error)}')
    raise VideoReadError('; '.join(errors))


def _probe_decord(path: str) -> VideoInfo:
    reader = decord.VideoReader(path, num_threads=1)
    height, width = reader[0].shape[:2]
    tail = _tail_error(lambda: reader[len(reader) - 1])
    return _info('decord', len(reader), reader.get_avg_fps(), width, height, tail)


def _probe_pyav(path: str) -> VideoInfo:
    with av.open(path) as container:
        stream = container.streams.video[0]
        times = [packet.pts or 0 for packet in container.demux(stream) if packet.size]
        container.seek(0)
        first = next(container.decode(stream))
        container.seek(max(times), stream=stream)
        tail = _tail_error(lambda: list(container.decode(stream))[-1])
        rate = stream.average_rate or stream.guessed_rate
    size = (first.width, first.height) if first.rotation % 180 == 0 else (first.height, first.width)
    return _info('pyav', len(times), rate, *size, tail)


def _probe_opencv(path: str) -> VideoInfo:
    capture = cv2.VideoCapture(path)
    try:
        is_read, image = capture.read()
        if not is_read:
            raise VideoReadError('no frame can be decoded')
        frames = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.set(cv2.CAP_PROP_POS_FRAMES, frames - 1)
        tail = '' if capture.read()[0] else 'its last frame cannot be decoded'
        fps = capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()
    return _info('opencv', frames, fps, image.shape[1], image.shape[0], tail)


PROBES: Mapping[str, Callable[[str], VideoInfo]] = {
    'decord': _probe_decord,
    'pyav': _probe_pyav,
    'opencv': _probe_opencv,
}


def _info(
    decoder: str, frames: int, rate: float | None, width: int, height: int, tail: str
) -> VideoInfo:
    if frames < 1:
        raise VideoReadError('it has no frame')
    fps = float(rate or 0)
    duration = frames / fps if fps > 0 else 0.0
    return VideoInfo(decoder, frames, round(fps, 6), round(duration, 6), width, height, tail)


def _tail_error(read_last: Callable[[], object]) -> str:
    try:
        read_last()
    except Exception as error:  # decoders raise errors of nearly any class
        return f'its last frame cannot be decoded ({type(error).__name__}: {_last_line(error)})'
    return ''


def _with_promise(info: VideoInfo, path: str) -> VideoInfo:
    """Compare with the number of frames that the header promises, if it gives one.

    A file that was cut off while it was fetched may be readable up to there without any error.
    """
    if info.broken_tail:
        return info
    try:
        with av.open(path) as container:
            promised = container.streams.video[0].frames
    except (av.error.FFmpegError, IndexError):  # another decoder read it
        return info
    if info.frames >= promised:
        return info
    text = f'its header promises {promised} frames, {info.frames} are there'
    return VideoInfo(**{**vars(info), 'broken_tail': text})


def _last_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines else ''
