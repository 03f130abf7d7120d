"""The frames that a player shows, by their times, as the packets of a file promise them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from diffusionret_mm.datasets.video_reading.packets import Check, packet_check

# Containers whose index leads to the key frame that was asked for.
WITH_INDEX = frozenset({'mov,mp4,m4a,3gp,3g2,mj2', 'matroska,webm'})
# Containers that have their index behind the last frame; it takes more bytes than these.
ENDS_WITH_INDEX = frozenset({'matroska,webm'})
INDEX_BYTES = 16
# A codec holds this many frames back, at most.
MOST_REORDERED = 16
# Containers without times of presentation: frames follow each other.
WITHOUT_TIMES = frozenset({'avi'})


@dataclass(frozen=True)
class Packets:
    """What the packets of a stream say, in the order of the file.

    Attributes:
        pts: time of presentation of each in ticks, or else that of decoding; None: unknown.
        keys: times of presentation of the key frames.
        hidden: number of those that are not shown.
        are_regular: whether each is known to be one frame of a known time, shown or hidden.
        has_leading: whether frames that are shown before a key frame follow it in the file.
        are_reordered: whether frames are stored in another order than they are shown in.
        last_duration: ticks for which the last frame is shown; 0 if unknown.
    """

    pts: list[int | None]
    keys: list[int]
    hidden: int
    are_regular: bool
    has_leading: bool
    are_reordered: bool
    last_duration: int


@dataclass(frozen=True)
class FrameTable:
    """The shown frames, in the order in which they are shown.

    Attributes:
        times: seconds [N] float64 from when a player starts.
        pts: the same times in ticks of the stream; empty if frames are not found by them.
        keys: the times of the key frames, hidden ones too, in ticks; sorted.
        is_plain: whether no packet is hidden, each follows the key frame before it in the file, and
            times of decoding and presentation lead to the same key frame.
        is_exact: whether the frames were counted by decoding all of them.
    """

    times: np.ndarray
    pts: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    is_plain: bool = False
    is_exact: bool = False

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.times)

    @property
    def can_seek(self) -> bool:
        """Whether frames may be reached from the key frame before them."""
        return bool(self.pts)

    def key_before(self, index: int) -> tuple[int, int]:
        """Return the first frame that is shown from the last key frame before one on, and its time.

        Args:
            index: number of a frame.
        """
        key = self.keys[bisect_right(self.keys, self.pts[index]) - 1]
        return bisect_left(self.pts, key), key


def read_packets(container: InputContainer, stream: VideoStream) -> Packets:
    """Go through the packets of a stream without decoding them.

    Args:
        container: a container of which nothing was read yet.
        stream: its stream of pictures.
    """
    check = packet_check(stream) if container.format.name in WITH_INDEX else None
    rows: list[tuple[int | None, int | None, bool, bool]] = []
    are_whole, end, last = check is not None, 0, (0, 0)
    try:
        for packet in container.demux(stream):
            if packet.size:
                are_whole = are_whole and _is_whole(packet, check, is_first=not rows)
                rows.append((packet.pts, packet.dts, packet.is_keyframe, packet.is_discard))
                last = max(last, (packet.pts or 0, packet.duration or 0))
                end = max(end, (packet.pos or 0) + packet.size)
    except av.error.FFmpegError:  # the rest of the file cannot be read
        are_whole = False
    if container.format.name in ENDS_WITH_INDEX and end + INDEX_BYTES > container.size:
        are_whole = False  # the file was cut off, or never finished
    return _summarise(rows, are_whole, last[1])


def _is_whole(packet: av.Packet, check: Check, is_first: bool) -> bool:
    data = memoryview(packet)
    # Parts that were never fetched are zeros.
    return not packet.is_corrupt and any(data[-8:]) and check(data, is_first)


def _summarise(
    rows: list[tuple[int | None, int | None, bool, bool]], are_whole: bool, last_duration: int
) -> Packets:
    keys, has_leading = [], False
    for time, _, is_key, _ in rows:
        if time is None:
            are_whole = False
        elif is_key:
            keys.append(time)
        elif keys and time < keys[-1]:
            has_leading = True
    shown = [dts if pts is None else pts for pts, dts, _, is_hidden in rows if not is_hidden]
    hidden = len(rows) - len(shown)
    are_reordered = are_whole and shown != sorted(cast(list[int], shown))
    return Packets(
        shown, sorted(keys), hidden, are_whole, has_leading, are_reordered, last_duration
    )


def table_of_packets(packets: Packets, rate: float, tick: float, start: float | None) -> FrameTable:
    """Return the frames that packets promise.

    Args:
        packets: the packets of a stream.
        rate: mean frames per second; 0 if unknown.
        tick: seconds of a tick of the stream.
        start: seconds at which a player starts; None: at the first frame.
    """
    times = times_of(packets.pts, rate, tick, start)
    pts = sorted(cast(list[int], packets.pts)) if packets.are_regular else []
    # Frames before the first key frame cannot be decoded, and two of one time not be told apart.
    is_good = pts and packets.keys and packets.keys[0] <= pts[0] and len(set(pts)) == len(pts)
    if not is_good:
        return FrameTable(times)
    is_plain = not packets.hidden and not packets.has_leading and _keys_are_clear(packets, pts)
    return FrameTable(times, pts, packets.keys, is_plain)


def _keys_are_clear(packets: Packets, pts: list[int]) -> bool:
    """Whether seeks by either time, of decoding or presentation, lead to the same key frame."""
    steps = np.diff(pts)
    if not len(steps) or not packets.are_reordered:
        return True
    gaps = np.diff(packets.keys)
    is_even = steps.max() - steps.min() <= 1
    return bool(is_even and (not len(gaps) or gaps.min() > MOST_REORDERED * steps.max()))


def times_of(pts: list[int | None], rate: float, tick: float, start: float | None) -> np.ndarray:
    """Return when frames are shown, in seconds [N], ascending.

    Where times are missing or occur twice, frames follow each other at the mean rate.

    Args:
        pts: times in ticks, in any order.
        rate: mean frames per second; 0 if unknown.
        tick: seconds of a tick.
        start: seconds that become 0; None: those of the first frame.
    """
    known = sorted({time for time in pts if time is not None})
    first = known[0] * tick if known else 0.0
    if len(known) == len(pts):
        times = np.array(known, dtype=np.float64) * tick
    else:
        times = first + np.arange(len(pts)) / (rate or 1.0)
    return times - (first if start is None else start)
