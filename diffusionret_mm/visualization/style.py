"""Sizes and colours that the pictures share, and their way to pixels and files."""

from __future__ import annotations

import io
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionret_mm.storage.names import printable

if TYPE_CHECKING:  # importing matplotlib takes a while, which only those who draw should pay
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0  # inches; 800 pixels, the width of a README
DPI = 100
# Of Okabe and Ito's palette, which colour-blind readers tell apart.
GREEN, BLUE, ORANGE, PURPLE = '#009E73', '#0072B2', '#E69F00', '#CC79A7'
GREY = '#9A9A9A'
TRUTH = GREEN
SMALL, NORMAL = 8, 9  # points
MAX_FRAMES = 8  # images in a strip


def new_figure(height: float) -> Figure:
    """Make an empty figure, which needs no display and is not kept by pyplot.

    Args:
        height: height in inches; the width is `WIDTH`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def to_image(figure: Figure) -> np.ndarray:
    """Draw a figure: RGB, shape [H, W, 3], uint8."""
    canvas: Any = figure.canvas  # Agg's, which `new_figure` gave it
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def encode_png(image: np.ndarray) -> bytes:
    """Encode an image, RGB, [H, W, 3], uint8, as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format='PNG', optimize=True)
    return file.getvalue()


def encode_jpeg(image: np.ndarray) -> bytes:
    """Encode an image, RGB, [H, W, 3], uint8, as a JPEG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format='JPEG', quality=88)
    return file.getvalue()


def strip(frames: np.ndarray, count: int, places: int = 0) -> np.ndarray:
    """Lay frames side by side, evenly chosen if there are more than `count`.

    Args:
        frames: RGB, [F, H, W, 3], uint8.
        count: number of images at most.
        places: number of images that there is room for, white where there is none; default: no
            more.

    Returns:
        RGB, [H, width, 3], uint8, with white gaps.
    """
    gap = max(2, frames.shape[2] // 16)
    chosen = frames[evenly(len(frames), count)]
    more = max(0, places - len(chosen))
    padded = np.pad(chosen, [(0, more), (0, 0), (0, gap), (0, 0)], constant_values=255)
    padded[len(chosen) :] = 255
    return np.concatenate(list(padded), axis=1)[:, :-gap]


def resized(image: np.ndarray, width: int) -> np.ndarray:
    """Shrink an image, RGB, [H, W, 3], uint8, to a width if it is wider."""
    from PIL import Image

    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def write_text(axes: Axes, x: float, y: float, text: str, **options: Any) -> None:
    """Write into axes, in fractions of their size, exactly what `text` says: no mathtext."""
    options = dict(fontsize=NORMAL, transform=axes.transAxes) | options
    axes.text(x, y, text, parse_math=False, **options)


def wrapped(text: str, width: int, max_lines: int = 2) -> str:
    """Break a text into lines of `width` characters; what is left over ends in an ellipsis.

    Examples:
        >>> wrapped('a red square moves to the left', 14).splitlines()
        ['a red square', 'moves to the …']
    """
    shown = printable(' '.join(text.split()))
    return '\n'.join(textwrap.wrap(shown, width, max_lines=max_lines, placeholder=' …'))


def title(axes: Axes, text: str, **options: Any) -> None:
    """Put a title above axes, left, exactly as `text` says."""
    options = dict(fontsize=NORMAL, loc='left', pad=4) | options
    axes.set_title(text, parse_math=False, **options)


def show_image(axes: Axes, image: np.ndarray, colour: str = 'none') -> None:
    """Show an image in axes of its own.

    Args:
        axes: where.
        image: RGB, [H, W, 3], uint8.
        colour: colour of its frame, which takes the same room if it is 'none'.
    """
    axes.imshow(image, interpolation='antialiased')
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=colour, linewidth=3)


def hide_box(axes: Axes) -> None:
    """Take away the top and right sides of a plot."""
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def evenly(count: int, wanted: int) -> list[int]:
    """Choose `wanted` of `count` indices, evenly spread; all if there are no more.

    Examples:
        >>> evenly(9, 3)
        [0, 4, 8]
    """
    return np.linspace(0, count - 1, min(count, wanted)).round().astype(int).tolist()
