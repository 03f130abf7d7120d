"""Clips whose frames carry their number, and show how they were turned and mirrored.

A picture has a grid of four rows and five columns. The corner cells are red, green, blue and white,
which tells the eight ways of turning and mirroring apart; the two rows in the middle are ten bits.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

ROWS, COLUMNS = 4, 5
BITS = 10
CORNERS = {
    (0, 0): (230, 30, 30),
    (0, 1): (30, 200, 30),
    (1, 0): (30, 30, 230),
    (1, 1): (235, 235, 235),
}
# Ways of showing a picture: rows and columns exchanged, then rows, then columns reversed.
UPRIGHT = (False, False, False)
WAYS = [(bool(way & 4), bool(way & 2), bool(way & 1)) for way in range(8)]


def draw(number: int, size: tuple[int, int] = (96, 64)) -> np.ndarray:
    """Draw a frame [H, W, 3] of a width and height."""
    width, height = size
    image = np.full((height, width, 3), 110, dtype=np.uint8)
    tall, wide = height // ROWS, width // COLUMNS
    for (bottom, right), colour in CORNERS.items():
        rows = slice(height - tall, None) if bottom else slice(0, tall)
        columns = slice(width - 2 * wide, None) if right else slice(0, 2 * wide)
        image[rows, columns] = colour
    for bit in range(BITS):
        row, column = divmod(bit, COLUMNS)
        top, left = (row + 1) * tall, column * wide
        image[top : top + tall, left : left + wide] = 235 if number >> bit & 1 else 16
    return image


def show(image: np.ndarray, way: tuple[bool, bool, bool]) -> np.ndarray:
    """Turn and mirror a picture in one of the eight ways."""
    transpose, flip_rows, flip_columns = way
    image = image.transpose(1, 0, 2) if transpose else image
    image = image[::-1] if flip_rows else image
    return image[:, ::-1] if flip_columns else image


def read(image: np.ndarray) -> tuple[tuple[bool, bool, bool], int] | None:
    """Return the way in which a frame is shown, and its number; None if there is none."""
    for way in WAYS:
        transpose, flip_rows, flip_columns = way
        upright = image[:, ::-1] if flip_columns else image
        upright = upright[::-1] if flip_rows else upright
        upright = upright.transpose(1, 0, 2) if transpose else upright
        if _has_corners(upright):
            return way, _number(upright)
    return None


def numbers(images: list[np.ndarray]) -> list[int | None]:
    """Return the numbers of frames that are shown upright; None for others."""
    found = map(read, images)
    return [item[1] if item is not None and item[0] == UPRIGHT else None for item in found]


def _cell(image: np.ndarray, row: int, column: int) -> np.ndarray:
    height, width = image.shape[0] / ROWS, image.shape[1] / COLUMNS
    top, left = (int((place + 0.3) * side) for place, side in ((row, height), (column, width)))
    part = image[top : top + max(1, int(0.4 * height)), left : left + max(1, int(0.4 * width))]
    return part.reshape(-1, 3).mean(axis=0)


def _has_corners(image: np.ndarray) -> bool:
    for (bottom, right), colour in CORNERS.items():
        found = _cell(image, 3 * bottom, 4 * right)
        if any(
            (value > 128) != (wanted > 128) for value, wanted in zip(found, colour, strict=True)
        ):
            return False
    return True


def _number(image: np.ndarray) -> int:
    bits = (_cell(image, 1 + bit // COLUMNS, bit % COLUMNS).mean() > 126 for bit in range(BITS))
    return sum(int(is_set) << bit for bit, is_set in enumerate(bits))


def write(
    path,
    count,
    codec='libx264',
    format=None,
    rate=25,
    size=(96, 64),
    ticks=None,
    tick=None,
    matrix=None,
    pix_fmt=None,
    start=0,
    **options,
):
    """Write a clip and return its path.

    Args:
        path: the file.
        count: number of frames; they are numbered from `start`.
        codec: name of the encoder.
        format: name of the container; None: by the extension.
        rate: frames per second.
        size: width and height.
        ticks: when each frame is shown, in units of `tick` seconds; None: at the rate.
        tick: a fraction.
        matrix: display matrix, nine integers.
        pix_fmt: format of the pixels; None: what is usual.
        start: number of the first frame.
        **options: of the encoder, such as g='12' and bf='2'.
    """
    with av.open(str(path), 'w', format=format) as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt or PIXELS.get(codec, 'yuv420p')
        stream.codec_context.thread_count = 1
        if ticks is not None:
            stream.time_base = stream.codec_context.time_base = tick
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(draw(start + index, size)).reformat(
                format=stream.pix_fmt
            )
            frame.pts = index if ticks is None else ticks[index]
            frame.time_base = 1 / Fraction(rate) if ticks is None else tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


PIXELS = {'mjpeg': 'yuvj420p', 'gif': 'rgb8', 'prores': 'yuv422p10le'}


def matrix_of(way: tuple[bool, bool, bool], size: tuple[int, int]) -> list[int]:
    """Return the display matrix that shows a stored picture in one of the eight ways."""
    transpose, flip_rows, flip_columns = way
    right, down = (-1 if flip else 1 for flip in (flip_columns, flip_rows))
    width, height = size[::-1] if transpose else size
    one = 1 << 16
    shift = [width * one if flip_columns else 0, height * one if flip_rows else 0]
    if transpose:
        return [0, down * one, 0, right * one, 0, 0, *shift, 1 << 30]
    return [right * one, 0, 0, 0, down * one, 0, *shift, 1 << 30]


def copy_from(source, target, pts):
    """Copy a clip without encoding, from the key frame before a time; an edit list hides the rest.

    Args:
        source: a clip.
        target: the .mp4 to write.
        pts: time of the first frame to be shown, in ticks of the source.
    """
    options = dict(avoid_negative_ts='disabled', use_editlist='1')
    with av.open(str(source)) as reader, av.open(str(target), 'w', options=options) as writer:
        stream = reader.streams.video[0]
        copied = writer.add_stream_from_template(stream)
        reader.seek(pts, stream=stream)
        for packet in reader.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - pts, packet.dts - pts
                packet.stream = copied
                writer.mux(packet)
    return target
