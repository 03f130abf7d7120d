"""Clips with a subtitle track inside."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICK = Fraction(1, 1000)
CODECS = {'.mp4': 'mov_text', '.mkv': 'subrip', '.webm': 'webvtt'}
HEADER = b"""[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name
Style: Default
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def write(
    path: Path,
    lines: Sequence[tuple[float, float, str | bytes]],
    seconds: float = 3,
    delay: float = 0,
    codec: str | None = None,
) -> Path:
    """Write a clip of ten frames per second.

    Args:
        path: the file; its extension says which codec of subtitles it has.
        lines: start and end in seconds, and text as ASS has it; bytes are written as they are.
        seconds: length.
        delay: seconds by which everything comes later in the file.
        codec: another codec of subtitles.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as out:
        video = out.add_stream('libvpx' if path.suffix == '.webm' else 'mpeg4', rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        subtitles = out.add_stream(codec or CODECS[path.suffix])
        subtitles.codec_context.subtitle_header = HEADER
        waiting = list(lines)
        for number in range(round(10 * seconds)):
            while waiting and waiting[0][0] <= number / 10:
                out.mux(_packet(subtitles, delay, *waiting.pop(0)))
            image = np.full((48, 64, 3), 8 * number % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format='rgb24')
            frame.pts, frame.time_base = number + round(10 * delay), Fraction(1, 10)
            out.mux(video.encode(frame))
        out.mux(video.encode())
    return path


def _packet(
    stream: av.subtitles.stream.SubtitleStream,
    delay: float,
    start: float,
    end: float,
    text: str | bytes,
) -> av.Packet:
    if isinstance(text, bytes):
        packet = av.Packet(text)
    else:
        event = f'0,0,Default,,0,0,0,,{text}'.encode()
        subtitle = av.subtitles.subtitle.SubtitleSet.create(event, 0, 1)
        packet = stream.codec_context.encode_subtitle(subtitle)
    packet.stream, packet.time_base = stream, TICK
    packet.pts = packet.dts = round((start + delay) / TICK)
    packet.duration = round((end - start) / TICK)
    return packet
