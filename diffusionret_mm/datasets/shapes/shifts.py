"""Shifts of the data set "shapes": what test clips look like that training has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from diffusionret_mm.datasets.shapes.scenes import Scene, Staging

JPEG_QUALITY = 15
NOISE = 12.0  # standard deviation, of 255
BLUR = 0.8  # standard deviation, pixels


def _as_it_is(staging: Staging, rng: np.random.Generator) -> Staging:
    return staging


def _paced(staging: Staging, rng: np.random.Generator) -> Staging:
    """4 to 25 frames per second, 1.2 to 9 seconds, slower and faster movements."""
    frame_rate = int(rng.choice((4, 6, 20, 25)))
    return replace(
        staging,
        frame_rate=frame_rate,
        num_frames=max(8, round(frame_rate * rng.uniform(1.2, 9.0))),
        pace=float(rng.uniform(0.4, 1.0)),
    )


def _looking_otherwise(staging: Staging, rng: np.random.Generator) -> Staging:
    """Coloured, darker and lighter backgrounds, strong tints, smaller figures, other frames."""
    base = rng.integers(60, 200, size=(1, 3))
    background = np.clip(base + rng.integers(-25, 26, size=(2, 3)), 40, 220)
    tints = rng.integers(-25, 26, size=(len(staging.tints), 3))
    sizes = ((64, 64), (128, 96), (160, 120), (144, 144))
    return replace(
        staging,
        background=tuple(tuple(row) for row in background.tolist()),
        size=float(rng.uniform(0.33, 0.37)),
        tints=tuple(tuple(row) for row in tints.tolist()),
        frame_size=sizes[rng.integers(len(sizes))],
    )


def _filmed_well(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return frames


def _filmed_badly(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur, noise and strong compression, uint8 `[num_frames, height, width, 3]`."""
    spoiled = np.empty_like(frames)
    for number, frame in enumerate(frames):
        noisy = cv2.GaussianBlur(frame, (3, 3), BLUR) + rng.normal(0, NOISE, frame.shape)
        picture = np.clip(noisy, 0, 255).astype(np.uint8)[..., ::-1]
        _, code = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        spoiled[number] = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
    return spoiled


@dataclass(frozen=True)
class Shift:
    """How a shifted test set differs from the test split.

    Attributes:
        number: part of the seed of its draws.
        stage: makes the staging of a scene from one drawn as in training.
        film: makes the frames of a clip from those that were drawn.
    """

    number: int
    stage: Callable[[Staging, np.random.Generator], Staging] = _as_it_is
    film: Callable[[np.ndarray, np.random.Generator], np.ndarray] = _filmed_well

    def restage(self, twins: Mapping[str, Scene], rng: np.random.Generator) -> dict[str, Scene]:
        """Give the twins of a scene, which share their staging, a shifted one.

        Args:
            twins: scenes by the names of the twins.
            rng: source of randomness.
        """
        staging = self.stage(next(iter(twins.values())).staging, rng)
        return {name: replace(scene, staging=staging) for name, scene in twins.items()}


SHIFTS: Mapping[str, Shift] = {
    'fresh': Shift(1),
    'noise': Shift(2, film=_filmed_badly),
    'pace': Shift(3, stage=_paced),
    'look': Shift(4, stage=_looking_otherwise),
}
