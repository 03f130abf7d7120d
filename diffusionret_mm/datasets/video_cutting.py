"""Parts of videos as files of their own, cut at exact frames."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.container import InputContainer, OutputContainer

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import Video, open_video
from diffusionret_mm.datasets.video_reading.container import describe, open_container
from diffusionret_mm.datasets.video_reading.orientation import AS_STORED

# Spans are kept to the millisecond.
TOLERANCE = 0.0005
# Containers into which streams are copied, by suffix.
CONTAINERS = {
    '.mp4': 'mp4',
    '.m4v': 'mp4',
    '.mov': 'mov',
    '.mkv': 'matroska',
    '.webm': 'webm',
}
ENCODED_SUFFIX = '.mp4'
QUALITY = '18'  # of x264: hardly to be told from the original
TICKS = 90_000
FRAME_RATE = 25


@dataclass(frozen=True)
class Cut:
    """What is to be cut out of a video, and how.

    Args:
        source: the video.
        first: number of the first frame.
        last: number of the last one.
        start: second at which the part begins; the first frame may be on the screen already.
        end: second at which it ends; the last frame may stay on the screen.
        is_whole: whether that is all of the video.
        is_copied: whether its packets can be copied: the cuts fall on key frames.
        is_counted: whether the frames were counted by decoding all of them.
    """

    source: str
    first: int
    last: int
    start: float
    end: float
    is_whole: bool
    is_copied: bool
    is_counted: bool

    @property
    def suffix(self) -> str:
        """The suffix of the file that `write_cut` makes."""
        keeps = self.is_whole or self.is_copied
        return Path(self.source).suffix if keeps else ENCODED_SUFFIX


def plan_cut(
    source: str | os.PathLike[str], start: float, end: float, is_counted: bool = False
) -> Cut:
    """Find the frames that are on the screen in a span of a video.

    Args:
        source: the video.
        start: second at which it begins.
        end: second at which it ends; 0: the end of the video.
        is_counted: whether to count the frames by decoding all of them.

    Raises:
        VideoReadError: if the video cannot be read, or shows no frame then.
    """
    with open_video(source) as video:
        if is_counted:
            video.confirm()
        times, is_last = video.table.times, not 0 < end <= video.end - TOLERANCE
        if start >= (video.end if is_last else end) - TOLERANCE:
            raise VideoReadError(f'{source} shows no frame from {start:g} s to {end:g} s.')
        first = max(0, int(np.searchsorted(times, start + TOLERANCE)) - 1)
        stop = len(times) if is_last else max(first + 1, _frames_before(video, end))
        start = max(start, float(times[0]))
        is_exact = abs(start - times[first]) < TOLERANCE
        return Cut(
            source=os.fspath(source),
            first=first,
            last=stop - 1,
            start=start,
            end=video.end if is_last else end,
            is_whole=first == 0 and is_exact and is_last,
            is_copied=is_exact and _can_copy(video, first, None if is_last else end),
            is_counted=is_counted,
        )


def write_cut(cut: Cut, target: str | os.PathLike[str]) -> None:
    """Write a cut: the whole file, its packets, or its frames in H.264 and its sound in AAC.

    Args:
        cut: what `plan_cut` returned.
        target: file to write, of any name; the container is that of the cut's suffix.

    Raises:
        FramesChangedError: if the video shows other frames than its packets promise; plan the cut
            again, and count them.
        VideoReadError: if the video cannot be read any more.
        OSError: if the file cannot be written.
    """
    if cut.is_whole:
        shutil.copyfile(cut.source, target)
        return
    write = _copy_packets if cut.is_copied else _encode
    try:
        write(cut, os.fspath(target))
    except av.error.FFmpegError as error:
        raise VideoReadError(f'{cut.source} cannot be cut: {describe(error)}.') from error


def _frames_before(video: Video, end: float) -> int:
    """Return how many frames appear before a second."""
    return int(np.searchsorted(video.table.times, end - TOLERANCE))


def _can_copy(video: Video, first: int, end: float | None) -> bool:
    """Whether no frame of a part needs any packet outside of it, and none is cut short."""
    table = video.table
    is_simple = table.can_seek and table.is_plain and video.orientation == AS_STORED
    if not is_simple or Path(video.path).suffix.lower() not in CONTAINERS:
        return False
    keys = set(table.keys)
    if table.pts[first] not in keys:
        return False
    if end is None:
        return True
    stop = _frames_before(video, end)
    return stop < len(table) and table.pts[stop] in keys and table.times[stop] - end < TOLERANCE


def _copy_packets(cut: Cut, target: str) -> None:
    with open_video(cut.source) as video:
        pts = video.table.pts
        first = pts[cut.first]
        stop = pts[cut.last + 1] if cut.last + 1 < len(pts) else None
    container, picture = open_container(cut.source)
    kind = CONTAINERS[cut.suffix.lower()]
    with container, av.open(target, 'w', format=kind) as output:
        inputs = [picture, *container.streams.audio[:1]]
        copies = {stream.index: output.add_stream_from_template(stream) for stream in inputs}
        begin = first * picture.time_base
        end = None if stop is None else stop * picture.time_base
        container.seek(first, stream=picture, backward=True)
        for packet in container.demux(inputs):
            if packet.pts is None or not _is_inside(packet.pts * packet.time_base, begin, end):
                continue
            shift = round(begin / packet.time_base)
            packet.pts -= shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = copies[packet.stream.index]
            output.mux(packet)


def _is_inside(time: Fraction, begin: Fraction, end: Fraction | None) -> bool:
    return time >= begin and (end is None or time < end)


def _encode(cut: Cut, target: str) -> None:
    """Encode the frames as they are to be shown, and the sound of the same time."""
    container, _ = open_container(cut.source)
    with open_video(cut.source) as video, container, av.open(target, 'w', format='mp4') as output:
        picture = output.add_stream('libx264', rate=Fraction(video.fps or FRAME_RATE))
        picture.pix_fmt, picture.options = 'yuv420p', {'crf': QUALITY}
        picture.time_base = picture.codec_context.time_base = Fraction(1, TICKS)
        sound = _Sound(container, output, cut) if container.streams.audio else None
        if cut.is_counted:
            video.confirm()
        for time, image in _shown(video, cut):
            if time == 0:  # H.264 wants even sides
                picture.height, picture.width = (side // 2 * 2 for side in image.shape[:2])
            even = np.ascontiguousarray(image[: picture.height, : picture.width])
            frame = av.VideoFrame.from_ndarray(even, 'rgb24').reformat(format='yuv420p')
            frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
            output.mux(picture.encode(frame))
        output.mux(picture.encode())
        if sound is not None:
            sound.write()


def _shown(video: Video, cut: Cut) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the frames of a part, and the seconds from its start on at which they appear.

    Players show the last frame for as long as others; one that stays longer comes once more.
    """
    period = 1 / (video.fps or FRAME_RATE)
    for number, image in video.stream(range(cut.first, cut.last + 1)):
        time = max(0.0, float(video.table.times[number]) - cut.start)
        yield time, image
    if cut.end - cut.start - time > 1.5 * period:
        yield cut.end - cut.start - period, image


class _Sound:
    """The first stream of sound of a part of a video, encoded anew.

    Args:
        container: the video, of which nothing was read yet.
        output: where to write.
        cut: the part.
    """

    def __init__(self, container: InputContainer, output: OutputContainer, cut: Cut) -> None:
        self._container, self._output = container, output
        self._stream = container.streams.audio[0]
        offset = max(container.start_time or 0, 0) / av.time_base
        self._start, self._end = cut.start + offset, cut.end + offset
        self._rate = self._stream.rate
        self._encoder = output.add_stream('aac', rate=self._rate)

    def write(self) -> None:
        """Write it, cut at exact samples."""
        resampler = AudioResampler(format='fltp', layout='stereo', rate=self._rate)
        position = 0
        for frame in self._container.decode(self._stream):
            if frame.time is None or frame.time + frame.samples / frame.rate <= self._start:
                continue
            if frame.time >= self._end:
                break
            for part in resampler.resample(frame):
                position = self._encode(part, frame.time, position)
        self._output.mux(self._encoder.encode(None))

    def _encode(self, frame: av.AudioFrame, time: float, position: int) -> int:
        """Encode the samples that are inside; return how many there are by now."""
        samples = frame.to_ndarray()
        begin = max(0, round((self._start - time) * self._rate))
        end = min(samples.shape[1], round((self._end - time) * self._rate))
        if begin >= end:
            return position
        kept = np.ascontiguousarray(samples[:, begin:end])
        part = av.AudioFrame.from_ndarray(kept, format='fltp', layout='stereo')
        part.sample_rate, part.time_base = self._rate, Fraction(1, self._rate)
        part.pts = position
        self._output.mux(self._encoder.encode(part))
        return position + kept.shape[1]
