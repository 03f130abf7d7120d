"""A transform that keeps decoded frames in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from diffusionret_mm.datasets.transforms.randomness import draws_at_random


@TRANSFORMS.register_module()
class CacheInMemory(BaseTransform):
    """Run transforms once per video and keep the frames: for small data sets and no random draw.

    It holds frames x H x W x 3 bytes per video in each process that loads data (8 frames of 64 x 64
    pixels: 98 kB), so it belongs into pipelines with `num_workers=0` and small frames.

    Required keys: filename, and those of the transforms. Added keys: imgs, num_frames.

    Args:
        transforms: from opening the video to frames of their final size. None may be random.

    Raises:
        ValueError: if one of them is random.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        if any(map(draws_at_random, transforms)):
            raise ValueError('CacheInMemory would freeze the random draws of its transforms.')
        self.transforms = Compose([TRANSFORMS.build(transform) for transform in transforms])
        self._frames: dict[tuple, tuple[np.ndarray, int]] = {}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the frames, from memory if they are there."""
        key = (results['filename'], results.get('start'), results.get('end'))
        if key not in self._frames:
            done = self.transforms(results)
            self._frames[key] = np.stack(done['imgs']), done['num_frames']
        frames, results['num_frames'] = self._frames[key]
        results['imgs'] = list(frames)
        return results
