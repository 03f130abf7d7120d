"""Subtitle tracks inside videos, read through PyAV."""

from __future__ import annotations

import av
from av.container import InputContainer
from av.subtitles.stream import SubtitleStream

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.subtitles.lines import Line, Subtitles, plain
from diffusionret_mm.datasets.video_reading.container import describe, open_container

# Codecs of text; those of other tracks are pictures.
TEXT_CODECS = frozenset({'mov_text', 'subrip', 'srt', 'text', 'webvtt', 'ass', 'ssa'})
# Fields of an ASS event before its text, as FFmpeg gives every text.
FIELDS = 8
ASS_BREAKS = ('\\N', '\\n', '\\h')


def read_subtitle_tracks(path: str) -> Subtitles:
    """Read the subtitle tracks of a video that hold text, all languages.

    Args:
        path: the video.

    Returns:
        The lines, with times from when a player starts, and what cannot be read.
    """
    try:
        container, _ = open_container(path)
    except VideoReadError as error:
        return Subtitles(problems=(str(error),))
    with container:
        streams = [stream for stream in container.streams.subtitles if _is_text(stream)]
        return _read(container, streams) if streams else Subtitles()


def _is_text(stream: SubtitleStream) -> bool:
    return stream.codec_context is not None and stream.codec_context.name in TEXT_CODECS


def _read(container: InputContainer, streams: list[SubtitleStream]) -> Subtitles:
    """Go through the file once; a player starts at the same time as of `Video`."""
    start = max(container.start_time or 0, 0) / av.time_base
    lines: list[Line] = []
    problems: list[str] = []
    bad = 0
    try:
        for packet in container.demux(*streams):
            if not packet.size or packet.pts is None:
                continue
            first = float(packet.pts * packet.time_base) - start
            last = first + float((packet.duration or 0) * packet.time_base)
            try:
                texts = [_text_of(event.ass) for event in packet.decode()]
            except (av.error.FFmpegError, UnicodeDecodeError):
                bad += 1
                continue
            lines += [Line(first, max(first, last), text) for text in texts if text]
    except av.error.FFmpegError as error:
        problems.append(f'the rest of its tracks cannot be read ({describe(error)})')
    if bad:
        problems.append(f'{bad:,} lines of its tracks cannot be decoded')
    return Subtitles(tuple(lines), tuple(problems))


def _text_of(event: bytes) -> str:
    text = event.decode().split(',', FIELDS)[-1]
    for mark in ASS_BREAKS:
        text = text.replace(mark, ' ')
    return plain(text)
