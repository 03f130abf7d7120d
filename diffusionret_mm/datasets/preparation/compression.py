"""Compression of videos, so that they are read fast."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.manifest import Manifest
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.storage.files import remove_leftovers, written_beside
from diffusionret_mm.storage.fingerprint import version_of_file
from diffusionret_mm.storage.locks import locked
from diffusionret_mm.storage.names import printable
from diffusionret_mm.storage.pool import run_in_parallel

FOLDER = 'videos_224_3fps'
SHORT_SIDE = 224
FRAMES_PER_SECOND = 3
# The disk is full, or what this user may keep on it.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
QUALITY = '23'  # the default of x264, which published code uses


def compress_videos(manifest: Manifest, out: Path, workers: int | None = None) -> str:
    """Encode the readable videos of a data set: short side 224 pixels, 3 frames per second.

    They keep their names below `out/videos_224_3fps`, extensions included, so that lists of files
    fit them; all are MP4, which decoders find out from the file itself. Videos that are smaller
    keep their size. Each file appears when it is complete and has the time of its original, by
    which a later run knows that nothing is to be done.

    Args:
        manifest: the data set.
        out: folder to write into.
        workers: number of processes; None: one per CPU core.

    Returns:
        A table of sizes before and after, and the videos that failed.

    Raises:
        RuntimeError: if another process writes the same folder.
    """
    folder = out / FOLDER
    records = [record for record in manifest.videos.values() if record.status == 'ok']
    paths = sorted({record.path for record in records})
    work = partial(_compress_one, manifest.video_folder, folder)
    before = after = done = known = 0
    failures = []
    with locked(folder):
        remove_leftovers(folder, recursive=True)
        results = run_in_parallel(work, paths, workers, 'compressing', VideoReadError)
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
    except VideoReadError as error:
        cause = error.__cause__
        if isinstance(cause, av.error.FFmpegError) and cause.errno in NO_ROOM:
            # No fault of the video.
            raise OSError(cause.errno, os.strerror(cause.errno), str(target)) from error
        raise
    return target, True


def compress_video(source: Path, target: Path) -> None:
    """Encode one video with H.264, without sound, turned as it is to be shown.

    Args:
        source: video that PyAV can read.
        target: .mp4 to write, whatever its name.

    Raises:
        VideoReadError: if the video cannot be read.
    """
    try:
        with av.open(str(source)) as reader, av.open(str(target), 'w', format='mp4') as writer:
            stream = None
            for number, image in enumerate(_resample(_upright(reader))):
                if stream is None:
                    stream = writer.add_stream('libx264', rate=FRAMES_PER_SECOND)
                    stream.width, stream.height = target_size(image.width, image.height)
                    stream.pix_fmt = 'yuv420p'
                    stream.options = {'crf': QUALITY}
                    stream.codec_context.thread_count = 1  # there is a process per core already
                frame = image.reformat(stream.width, stream.height, 'yuv420p', interpolation='AREA')
                frame.pts, frame.time_base = number, Fraction(1, FRAMES_PER_SECOND)
                writer.mux(stream.encode(frame))
            if stream is None:
                raise VideoReadError('no frame can be decoded')
            writer.mux(stream.encode())
    except (av.error.FFmpegError, IndexError) as error:
        raise VideoReadError(f'{type(error).__name__}: {error}') from error


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


def _resample(frames: Iterator[tuple[float, float, av.VideoFrame]]) -> Iterator[av.VideoFrame]:
    """Of frames with their times, yield the one that is shown at each third of a second."""
    number, shown, shown_until = 0, None, 0.0
    for start, end, image in frames:
        while shown is not None and number / FRAMES_PER_SECOND < start:
            yield shown
            number += 1
        shown, shown_until = image, end
    while shown is not None and (number == 0 or number / FRAMES_PER_SECOND < shown_until):
        yield shown
        number += 1


def _upright(reader: av.container.InputContainer) -> Iterator[tuple[float, float, av.VideoFrame]]:
    """Yield the start and end of each frame, in seconds from the first one, and the frame."""
    stream = reader.streams.video[0]
    stream.thread_type = 'NONE'
    rate = float(stream.average_rate or stream.guessed_rate or FRAMES_PER_SECOND)
    first = None
    for number, image in enumerate(reader.decode(stream)):
        time = number / rate if image.time is None else image.time
        first = time if first is None else first
        turns = image.rotation // 90 % 4
        if turns:
            image = av.VideoFrame.from_ndarray(np.rot90(image.to_ndarray(format='rgb24'), turns))
        yield time - first, time - first + 1 / rate, image
