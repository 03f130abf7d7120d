"""Compression of videos, so that they are read fast."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.manifest import Manifest
from diffusionret_mm.datasets.video_reading import ShownFrame, open_video, time_limit
from diffusionret_mm.datasets.video_reading.container import describe
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.storage.files import remove_leftovers, written_beside
from diffusionret_mm.storage.fingerprint import version_of_file
from diffusionret_mm.storage.locks import locked
from diffusionret_mm.storage.names import printable
from diffusionret_mm.storage.pool import run_in_parallel

FOLDER = 'videos_224_3fps'
SHORT_SIDE = 224
FRAMES_PER_SECOND = 3
TOLERANCE = 1e-6  # seconds
# The disk is full, or what this user may keep on it.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
QUALITY = '23'  # the default of x264, which published code uses


def compress_videos(
    manifest: Manifest, out: Path, workers: int | None = None, seconds: float | None = None
) -> str:
    """Encode the readable videos of a data set: short side 224 pixels, 3 frames per second.

    They keep their names below `out/videos_224_3fps`, extensions included, so that lists of files
    fit them; all are MP4, which decoders find out from the file itself. Videos that are smaller
    keep their size. Each file appears when it is complete and has the time of its original, by
    which a later run knows that nothing is to be done.

    Args:
        manifest: the data set.
        out: folder to write into.
        workers: number of processes; None: one per CPU core.
        seconds: how long a video may take, see `time_limit`; None: the default.

    Returns:
        A table of sizes before and after, and the videos that failed.

    Raises:
        RuntimeError: if another process writes the same folder.
    """
    folder = out / FOLDER
    records = [record for record in manifest.videos.values() if record.status == 'ok']
    paths = sorted({record.path for record in records if record.path is not None})
    work = partial(_compress_one, manifest.video_folder, folder)
    limit = partial(_time_limit, manifest.video_folder, seconds)
    before = after = done = known = 0
    failures = []
    with locked(folder):
        remove_leftovers(folder, recursive=True)
        results = run_in_parallel(work, paths, workers, 'compressing', VideoReadError, limit)
        for path, result, error in results:
            if error:
                failures.append(printable(f'{path} could not be compressed: {error}'))
                continue
            target, is_new = result
            before += (manifest.video_folder / path).stat().st_size
            after += target.stat().st_size
            done += is_new
            known += not is_new
    columns = [label('compressed'), Column('videos'), Column('done now'), Column('failed')]
    columns += [Column(name, number=',.2f') for name in ('MB before', 'MB after')]
    row = (FOLDER, done + known, done, len(failures), before / 1e6, after / 1e6)
    hint = f'To use them, prepare the data set with --videos {folder} --out {folder}.'
    return '\n'.join([format_table(columns, [row]), *failures, hint])


def _time_limit(folder: Path, seconds: float | None, path: str) -> float:
    return time_limit(folder / path, seconds)


def _compress_one(folder: Path, out: Path, path: str) -> tuple[Path, bool]:
    """Return the compressed file and whether it is new."""
    source, target = folder / path, out / path
    changed = version_of_file(source).mtime_ns
    if target.is_file() and version_of_file(target).mtime_ns == changed:
        return target, False
    try:
        with written_beside(target) as temporary:
            compress_video(source, temporary)
            os.utime(temporary, ns=(changed, changed))
    except av.error.FFmpegError as error:
        if error.errno in NO_ROOM:  # no fault of the video
            raise OSError(error.errno, os.strerror(error.errno), str(target)) from error
        raise VideoReadError(describe(error)) from error
    return target, True


def compress_video(source: Path, target: Path) -> None:
    """Encode one video with H.264, without sound, turned and mirrored as it is to be shown.

    Args:
        source: the video.
        target: .mp4 to write, whatever its name.

    Raises:
        VideoReadError: if the video cannot be read.
    """
    with open_video(source) as video, av.open(str(target), 'w', format='mp4') as writer:
        stream = None
        for number, image in enumerate(_resample(video.frames())):
            if stream is None:
                stream = _add_stream(writer, image)
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame = frame.reformat(stream.width, stream.height, 'yuv420p', interpolation='AREA')
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())


def _add_stream(writer: av.container.OutputContainer, image: np.ndarray) -> av.VideoStream:
    height, width = image.shape[:2]
    stream = writer.add_stream('libx264', rate=FRAMES_PER_SECOND)
    stream.width, stream.height = target_size(width, height)
    stream.pix_fmt = 'yuv420p'
    stream.options = {'crf': QUALITY}
    stream.codec_context.thread_count = 1  # there is a process per core already
    return stream


def target_size(width: int, height: int) -> tuple[int, int]:
    """Return width and height for a short side of 224, or the same ones if that is smaller.

    Args:
        width: width in pixels.
        height: height in pixels.

    Returns:
        Even numbers, as the encoder wants.

    Examples:
        >>> target_size(1280, 720)
        (398, 224)
    """
    scale = min(1, SHORT_SIDE / min(width, height))
    even_width, even_height = (max(2, 2 * round(side * scale / 2)) for side in (width, height))
    return even_width, even_height


def _resample(frames: Iterable[ShownFrame]) -> Iterator[np.ndarray]:
    """Yield the image that is shown at each third of a second from the first one on."""
    number, first, shown = 0, None, None
    for frame in frames:
        first = frame.start if first is None else first
        while shown is not None and number / FRAMES_PER_SECOND < frame.start - first - TOLERANCE:
            yield shown.image
            number += 1
        shown = frame
    while number == 0 or number / FRAMES_PER_SECOND < shown.end - first - TOLERANCE:
        yield shown.image
        number += 1
