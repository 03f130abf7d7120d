"""Whether each packet of a stream is one shown frame, told from its first bytes."""

from __future__ import annotations

from collections.abc import Callable

from av.video.stream import VideoStream

# Whether a packet gives one frame that is shown: of its data, and whether it is the first one.
Check = Callable[[memoryview, bool], bool]

# A smaller one may be the placeholder of a frame that another packet holds.
SMALLEST_MPEG4 = 10
IDR_SLICE = 5


def packet_check(stream: VideoStream) -> Check | None:
    """Return the check of a stream's codec, or None if its packets cannot be told apart.

    A packet that fails may be hidden, damaged, half a frame or none.
    """
    name = stream.codec_context.codec.canonical_name
    if name in NAL_CODECS:
        return NAL_CODECS[name](bytes(stream.codec_context.extradata or b''))
    return CHECKS.get(name)


def _h264(extradata: bytes) -> Check | None:
    if len(extradata) < 7 or extradata[0] != 1:  # not the form of MP4 and Matroska
        return None
    prefix = (extradata[4] & 3) + 1

    def check(data: memoryview, is_first: bool) -> bool:
        slices = _slices(data, prefix, lambda header: 1 <= header & 31 <= IDR_SLICE, 1)
        if not slices:
            return False
        header, first_bits = slices[0]
        return bool(first_bits & 0x80) and (not is_first or header & 31 == IDR_SLICE)

    return check


def _hevc(extradata: bytes) -> Check | None:
    if len(extradata) < 23 or extradata[0] != 1:
        return None
    prefix = (extradata[21] & 3) + 1

    def check(data: memoryview, is_first: bool) -> bool:
        slices = _slices(data, prefix, lambda header: header >> 1 & 63 < 32, 2)
        return bool(slices) and bool(slices[0][1] & 0x80)

    return check


def _slices(
    data: memoryview, prefix: int, is_slice: Callable[[int], bool], header_bytes: int
) -> list[tuple[int, int]]:
    """Return header and first byte of each slice; none if the units do not fill the packet."""
    found, position, end = [], 0, len(data)
    while position + prefix + header_bytes < end:
        size = int.from_bytes(data[position : position + prefix], 'big')
        position += prefix
        if size <= header_bytes or position + size > end or data[position] & 0x80:
            return []
        if is_slice(data[position]):
            found.append((data[position], data[position + header_bytes]))
        position += size
    return found if position == end else []


def _mpeg4(data: memoryview, is_first: bool) -> bool:
    return len(data) >= SMALLEST_MPEG4 and bytes(data[:3]) == b'\0\0\1'


def _vp8(data: memoryview, is_first: bool) -> bool:
    return len(data) > 3 and bool(data[0] & 0x10)


def _vp9(data: memoryview, is_first: bool) -> bool:
    """A frame of its own is shown if it says so; of several in one packet, one is."""
    first, last = data[0], data[-1]
    if first >> 6 != 2:
        return False
    if last & 0xE0 == 0xC0:
        return True
    shift = 1 if first >> 4 & 3 == 3 else 0  # profile 3 has one more bit
    return bool(first & (8 >> shift) or first & (2 >> shift))


def _mjpeg(data: memoryview, is_first: bool) -> bool:
    return bytes(data[:2]) == b'\xff\xd8'


def _whole(data: memoryview, is_first: bool) -> bool:
    return len(data) > 0


NAL_CODECS: dict[str, Callable[[bytes], Check | None]] = {'h264': _h264, 'hevc': _hevc}
CHECKS: dict[str, Check] = {
    'mpeg4': _mpeg4,
    'vp8': _vp8,
    'vp9': _vp9,
    'av1': _whole,
    'mjpeg': _mjpeg,
    'prores': _whole,
}
