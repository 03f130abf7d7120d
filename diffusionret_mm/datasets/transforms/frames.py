"""Which frames are taken, and how they are resized."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from PIL import Image

from diffusionret_mm.datasets.errors import VideoReadError

Results = dict[str, Any]


@TRANSFORMS.register_module()
class SampleVideoFrames(BaseTransform):
    """Choose frames: one in each of `num_frames` equal segments of the video.

    Stands between mmaction's `DecordInit` and `DecordDecode` (or the PyAV and OpenCV ones).
    A video with fewer frames gives all it has.

    Required keys: total_frames. With `random`: item_seed (`TextVideoDataset` sets it).
    Added keys: frame_inds [<= num_frames] int64, num_frames, and clip_len, num_clips and
    frame_interval as mmaction's own samplers do.

    Args:
        num_frames: number of segments.
        random: take a random frame of each segment (training) instead of its middle one.

    Raises:
        VideoReadError: if the video has no frame.
    """

    def __init__(self, num_frames: int = 12, random: bool = False) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1; got {num_frames}.')
        self.num_frames = num_frames
        self.random = random

    def transform(self, results: Results) -> Results:
        """Add the frame numbers."""
        total = int(results['total_frames'])
        if total < 1:
            raise VideoReadError(f'{results.get("filename")} has no frame.')
        taken = min(total, self.num_frames)
        edges = np.linspace(0, total, taken + 1)
        inside = np.full(taken, 0.5)
        if self.random:
            inside = np.random.default_rng([*results['item_seed'], 1]).random(taken)
        position = edges[:-1] + inside * np.diff(edges)
        results['frame_inds'] = np.minimum(position.astype(np.int64), total - 1)
        results['num_frames'] = self.num_frames
        results.update(clip_len=1, num_clips=taken, frame_interval=None)
        return results


@TRANSFORMS.register_module()
class CLIPResizeCrop(BaseTransform):
    """Resize the short side and cut the middle, as CLIP was trained: PIL, bicubic, antialiased.

    Required keys: imgs, a list of [H, W, 3] uint8 arrays. Modified: imgs, img_shape.

    Args:
        size: side of the square in pixels.
    """

    def __init__(self, size: int = 224) -> None:
        self.size = size

    def transform(self, results: Results) -> Results:
        """Resize and crop every frame."""
        results['imgs'] = [self._resize_crop(image) for image in results['imgs']]
        results['img_shape'] = (self.size, self.size)
        return results

    def _resize_crop(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        short = min(height, width)
        new_height, new_width = (int(self.size * side / short) for side in (height, width))
        resized = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC)
        top, left = round((new_height - self.size) / 2), round((new_width - self.size) / 2)
        return np.asarray(resized)[top : top + self.size, left : left + self.size]


@TRANSFORMS.register_module()
class ShuffleFrames(BaseTransform):
    """Put the frames of a video into a random order: what does a model read without time?

    The order depends on the data set's seed and the item. Required keys: imgs, item_seed.
    """

    def transform(self, results: Results) -> Results:
        """Permute the frames."""
        rng = np.random.default_rng([*results['item_seed'], 2])
        images = results['imgs']
        results['imgs'] = [images[index] for index in rng.permutation(len(images))]
        return results
