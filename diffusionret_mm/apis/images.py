"""Images as videos of one frame, so that they are read by the same transforms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from PIL import Image, ImageOps

from diffusionret_mm.apis.decoding import decode
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.storage.names import printable, why_not_a_file

# Modes of Pillow with more than eight bits per channel, which it does not scale.
DEEP_MODES = ('I', 'F')


@contextmanager
def image_as_video(path: str | os.PathLike[str]) -> Iterator[str]:
    """Write an image as a video of one frame, without loss, and give its path.

    Arguments and errors as of `read_image`.
    """
    pixels = read_image(path)
    with TemporaryDirectory() as folder:
        video = str(Path(folder) / 'image.mkv')
        _write(pixels, video)
        yield video


def decode_image(transforms: bytes, path: str) -> dict[str, np.ndarray]:
    """Decode an image as a video of one frame; arguments and result as of `decode`.

    Errors as of `read_image`.
    """
    with image_as_video(path) as video:
        return decode(transforms, video)


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image.

    It is turned as its EXIF data say; what is transparent becomes white. Of an animation the first
    frame is taken.

    Args:
        path: the image.

    Returns:
        Pixels, [H, W, 3] uint8.

    Raises:
        FileNotFoundError: if there is no such file.
        VideoReadError: if it is no image that can be read.
    """
    reason = why_not_a_file(path)
    if reason:
        raise FileNotFoundError(f'The image {printable(os.fspath(path))} cannot be read: {reason}.')
    try:
        with Image.open(path) as image:
            if image.mode.startswith(DEEP_MODES):
                raise VideoReadError(f'it has more than eight bits per channel ({image.mode})')
            turned = ImageOps.exif_transpose(image).convert('RGBA')
    except Exception as error:  # decoders of images raise errors of nearly any class
        raise VideoReadError(
            f'The image {printable(os.fspath(path))} cannot be read: {error}.'
        ) from error
    white = Image.new('RGBA', turned.size, 'white')
    return np.asarray(Image.alpha_composite(white, turned).convert('RGB'))


def _write(pixels: np.ndarray, path: str) -> None:
    """Write a video of one frame; FFV1 keeps every value."""
    with av.open(path, 'w') as container:
        stream = container.add_stream('ffv1', rate=1)
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = 'bgr0'
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format='rgb24')
        container.mux(stream.encode(frame.reformat(format='bgr0')))
        container.mux(stream.encode(None))
