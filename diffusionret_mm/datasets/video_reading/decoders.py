"""The libraries that decode: each gives the same frames, or says that it cannot be trusted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading.container import read_errors
from diffusionret_mm.datasets.video_reading.orientation import AS_STORED
from diffusionret_mm.datasets.video_reading.video import FramesChangedError, Video

Reader = Callable[[Video, Sequence[int]], list[np.ndarray]]

# Where decord's frames are those of PyAV: tests/test_datasets/test_video_reading tries each.
DECORD_IS_RIGHT = frozenset(
    {('mov,mp4,m4a,3gp,3g2,mj2', codec) for codec in ('h264', 'hevc', 'mpeg4')}
    | {('matroska,webm', codec) for codec in ('h264', 'vp9')}
)


def _pyav(video: Video, numbers: Sequence[int]) -> list[np.ndarray]:
    return video.read(numbers)


def _decord(video: Video, numbers: Sequence[int]) -> list[np.ndarray]:
    """Decord counts frames and hides none, so it must find those of the table, and no other."""
    table = video.table
    if (video.format, video.codec) not in DECORD_IS_RIGHT:
        raise VideoReadError(f'its frames of {video.codec} in {video.format} may be wrong')
    if not table.can_seek or not table.is_plain:
        raise VideoReadError('its frames may be wrong where some are hidden or out of order')
    if video.orientation != AS_STORED:
        raise VideoReadError('it may not turn or mirror the frames')
    import decord  # not before it is wanted, and after PyAV: it brings an older libvpx for both

    with read_errors():
        reader = decord.VideoReader(video.path, num_threads=1)
        _check_decord(reader, video)
        return list(reader.get_batch([int(number) for number in numbers]).asnumpy())


def _check_decord(reader: Any, video: Video) -> None:
    table = video.table
    if len(reader) != len(table):
        raise VideoReadError(f'it counts {len(reader)} frames where {len(table)} are shown')
    starts = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
    # It keeps times in single precision.
    if not np.allclose(starts, video.stream_times, rtol=1e-6, atol=1e-3):
        raise VideoReadError('it finds other times of the frames than PyAV')


def _opencv(video: Video, numbers: Sequence[int]) -> list[np.ndarray]:
    """OpenCV from the first frame to the last: its own seeks are not used."""
    keep, images, count = {int(number) for number in numbers}, {}, 0
    capture = cv2.VideoCapture(video.path, cv2.CAP_FFMPEG)
    try:
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        while capture.grab():
            if count in keep:
                images[count] = video.orientation.apply(_retrieve(capture))
            count += 1
    finally:
        capture.release()
    if count != len(video.table):
        if video.confirm():
            raise FramesChangedError(f'{video.path} shows {len(video.table)} frames.')
        raise VideoReadError(f'it finds {count} frames where {len(video.table)} are shown')
    return [images[int(number)] for number in numbers]


def _retrieve(capture: cv2.VideoCapture) -> np.ndarray:
    is_read, image = capture.retrieve()
    if not is_read:
        raise VideoReadError('a frame cannot be decoded')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


DECODERS: dict[str, Reader] = {'decord': _decord, 'pyav': _pyav, 'opencv': _opencv}
