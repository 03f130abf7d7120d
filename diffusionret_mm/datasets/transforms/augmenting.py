"""Random transforms of mmaction and mmcv, with draws that depend on the item alone."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

# Part of the seeds of an item; captions and frames have others.
DRAW = 3


@TRANSFORMS.register_module()
class AugmentFrames(BaseTransform):
    """Run random transforms of frames, the same draws for all frames of a video.

    Transforms such as mmaction's `RandomResizedCrop` and `ColorJitter` draw from the global random
    states. Here these are seeded by the data set's seed, the epoch and the item while the
    transforms run, and put back afterwards. So neither processes nor loader workers change a run.

    Required keys: imgs (list of [H, W, 3] uint8 of one size), item_seed (`TextVideoDataset` sets
    it). Modified keys: those of the transforms; img_shape is added for them.

    Args:
        transforms: configs of transforms of imgs. `Flip` makes left of right, which captions tell.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        with seeded((0, DRAW)):  # mmaction's ColorJitter draws when it is made
            self.transforms = Compose([TRANSFORMS.build(transform) for transform in transforms])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Augment the frames."""
        results['img_shape'] = results['imgs'][0].shape[:2]
        with seeded((*results['item_seed'], DRAW)):
            return self.transforms(results)


@contextmanager
def seeded(seed: Sequence[int]) -> Iterator[None]:
    """Seed the global random states of Python, NumPy and PyTorch (on the CPU), then restore them.

    Args:
        seed: numbers that the draws depend on, each at least 0.
    """
    of_python, of_numpy, of_torch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(seed).generate_state(4)
    try:
        random.seed(words.tobytes())
        np.random.seed(words)
        torch.manual_seed(int(words[0]))
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_rng_state(of_torch)
