"""Opening of a file of any origin with FFmpeg's libraries, through PyAV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from diffusionret_mm.datasets.errors import VideoReadError

# They name other files, which would be opened in turn.
PLAYLISTS = frozenset({'concat', 'dash', 'hls', 'imf', 'rtsp', 'sdp', 'webm_dash_manifest'})


@contextmanager
def read_errors() -> Iterator[None]:
    """Turn the errors of decoders, which are of nearly any class, into `VideoReadError`."""
    try:
        yield
    except VideoReadError:
        raise
    except Exception as error:
        raise VideoReadError(describe(error)) from error


def describe(error: Exception) -> str:
    """Return the class of an error and the last line of its text."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[-1][:200] if lines else ""}'


def open_container(path: str, is_strict: bool = False) -> tuple[InputContainer, VideoStream]:
    """Open a file, and find the stream of pictures that a player shows.

    Only the file itself is read, and the decoder runs in one thread.

    Args:
        path: the file.
        is_strict: whether the decoder is to fail at damage, which it hides otherwise.

    Raises:
        VideoReadError: if it is no video.
    """
    with read_errors():
        absolute = os.path.abspath(path)  # a relative name may look like an address
        container = av.open(absolute, options={'protocol_whitelist': 'file'})
    try:
        return container, _stream_of(container, is_strict)
    except VideoReadError:
        container.close()
        raise


def _stream_of(container: InputContainer, is_strict: bool) -> VideoStream:
    if PLAYLISTS & set(container.format.name.split(',')):
        raise VideoReadError(f'it is a list of other files ({container.format.name}), no video')
    stream = cast('VideoStream | None', container.streams.best('video'))
    if stream is None or stream.disposition & Disposition.attached_pic:  # the cover of a song
        raise VideoReadError('it has no stream of pictures')
    if stream.codec_context is None:
        raise VideoReadError('there is no decoder for its codec')
    stream.thread_type = 'NONE'
    stream.codec_context.thread_count = 1
    if is_strict:
        stream.codec_context.options = {'err_detect': 'explode'}
    return stream


def decode_all(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield all frames from the start of the file, in the order in which a player shows them.

    A damaged packet is passed over, as players do; a file that ends early ends early.

    Args:
        container: a container of which nothing was read yet.
        stream: its stream of pictures.
    """
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError:  # the rest of the file cannot be read
            yield from _decode(stream, None)
            return
        yield from _decode(stream, packet)


def _decode(stream: VideoStream, packet: av.Packet | None) -> list[VideoFrame]:
    try:
        return stream.decode(packet)
    except av.error.FFmpegError:
        return []
