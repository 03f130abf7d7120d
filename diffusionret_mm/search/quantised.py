"""Frames in 8 bits: half the disk, and scores that move by 3e-4 at most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from diffusionret_mm.search.schema import FRAME_SCALES, FRAMES, Facts

LARGEST = 127


def to_stored(arrays: Mapping[str, np.ndarray], facts: Facts) -> dict[str, np.ndarray]:
    """Make what the table keeps of what a gallery is given.

    A frame x is kept as the integers round(x / s) with its own scale s = max |x| / 127, so each
    number comes back to within s / 2.

    Args:
        arrays: features of n spans by name, [n, ...], as `facts.layout` has them.
        facts: say whether frames are kept in 8 bits.

    Returns:
        The arrays of `facts.stored_layout`.
    """
    if not facts.int8:
        return dict(arrays)
    frames = arrays[FRAMES].astype(np.float32)
    scales = np.abs(frames).max(axis=-1) / LARGEST
    divisors = np.where(scales > 0, scales, 1)[..., None]
    codes = np.rint(frames / divisors).astype(np.int8)
    return {**arrays, FRAMES: codes, FRAME_SCALES: scales}


def from_stored(arrays: Mapping[str, np.ndarray], facts: Facts) -> dict[str, np.ndarray]:
    """Undo `to_stored`, for some of the arrays.

    Args:
        arrays: arrays of the table by name, [n, ...]; scales are among them if frames are.
        facts: say whether frames are kept in 8 bits.

    Returns:
        Arrays as `facts.layout` has them, but for frames from 8 bits: they are float32.
    """
    if not facts.int8 or FRAMES not in arrays:
        return dict(arrays)
    rest = {name: array for name, array in arrays.items() if name not in (FRAMES, FRAME_SCALES)}
    return {FRAMES: arrays[FRAMES] * arrays[FRAME_SCALES][..., None], **rest}
