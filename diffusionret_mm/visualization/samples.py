"""Samples of a data set: frames and captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.storage.names import printable
from diffusionret_mm.visualization import style
from diffusionret_mm.visualization.page import Picture, Section, write_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRIP_WIDTH = 800  # pixels


@dataclass(frozen=True)
class Sample:
    """A video of a data set.

    Args:
        video_id: its name.
        frames: its real frames as the model gets them, RGB, [F, H, W, 3], uint8.
        captions: its captions.
    """

    video_id: str
    frames: np.ndarray
    captions: Sequence[str]


def draw_samples(samples: Sequence[Sample], max_captions: int = 4) -> Figure:
    """Draw videos, one row each: frames, and captions below them.

    Args:
        samples: the videos.
        max_captions: captions that are shown of each.

    Raises:
        ValueError: if there is no video.
    """
    if not samples:
        raise ValueError('There is no sample to draw.')
    lines = [_captions(sample, max_captions) for sample in samples]
    heights = [1.15 + 0.14 * (text.count('\n') + 1) for text in lines]
    figure = style.new_figure(height=sum(heights))
    rows = figure.subplots(len(samples), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, sample, text in zip(rows, samples, lines, strict=True):
        style.show_image(axes, style.strip(sample.frames, style.MAX_FRAMES, style.MAX_FRAMES))
        style.title(axes, text, fontsize=style.SMALL)
    return figure


def write_samples_page(path: Path, title: str, samples: Iterable[Sample]) -> None:
    """Write a page to browse: frames and all captions, as text that can be searched.

    Args:
        path: file to write.
        title: title of the page.
        samples: the videos.
    """
    sections = []
    for sample in samples:
        image = style.resized(style.strip(sample.frames, style.MAX_FRAMES), STRIP_WIDTH)
        text = f'{len(sample.frames)} frames of {sample.frames.shape[2]} x {sample.frames.shape[1]}'
        blocks = [Picture(style.encode_jpeg(image), text, kind='jpeg'), *sample.captions]
        sections.append(Section(sample.video_id, blocks))
    write_page(path, title, sections)


def _captions(sample: Sample, max_captions: int) -> str:
    shown = [f'{printable(sample.video_id)}: {len(sample.captions)} captions']
    shown += [style.wrapped(caption, 130) for caption in sample.captions[:max_captions]]
    return '\n'.join(shown)
