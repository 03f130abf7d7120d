"""Transforms that choose and shuffle frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from diffusionret_mm.datasets.errors import VideoReadError

Results = dict[str, Any]


SAMPLING_RULES = ('uniform', 'random', 'whole_seconds')


@TRANSFORMS.register_module()
class SampleVideoFrames(BaseTransform):
    """Choose the frames of a video, or of the part from `start` to `end` seconds.

    Stands between mmaction's `DecordInit` and `DecordDecode` (or the PyAV and OpenCV ones).

    Required keys: total_frames; random rule: item_seed (`TextVideoDataset` sets it); whole seconds
    or a part of a video: the frame rate, as `fps`, `avg_fps` or in the reader. Used if present:
    start and end, in seconds.
    Added keys: frame_inds [<= num_frames] int64, num_frames, and clip_len, num_clips and
    frame_interval as mmaction's own samplers do.

    Args:
        num_frames: number of frames; a shorter video gives all it has.
        rule: 'uniform' takes the middle frame of `num_frames` equal segments; 'random' a random
            one of each (training); 'whole_seconds' is the published rule: the frame at each whole
            second, the frame rate cut to an integer, both ends included, and of more than
            `num_frames` those at int(linspace(0, n - 1, num_frames)).

    Raises:
        ValueError: if an argument is out of range.
        VideoReadError: if the video has no frame, or none in the part wanted.
    """

    def __init__(self, num_frames: int = 12, rule: str = 'uniform') -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1; got {num_frames}.')
        if rule not in SAMPLING_RULES:
            raise ValueError(f'rule must be one of {SAMPLING_RULES}; got {rule!r}.')
        self.num_frames = num_frames
        self.rule = rule

    def transform(self, results: Results) -> Results:
        """Add the frame numbers."""
        if int(results['total_frames']) < 1:
            raise VideoReadError(f'{results.get("filename")} has no frame.')
        choose = self._whole_seconds if self.rule == 'whole_seconds' else self._segments
        taken = choose(results)
        if not len(taken):
            raise VideoReadError(
                f'{results.get("filename")} has no frame from second {results.get("start") or 0} '
                f'to {results.get("end")}.'
            )
        results['frame_inds'] = taken
        results['num_frames'] = self.num_frames
        results.update(clip_len=1, num_clips=len(taken), frame_interval=None)
        return results

    def _segments(self, results: Results) -> np.ndarray:
        """One frame of each equal segment."""
        first, behind = _part(results)
        count = min(behind - first, self.num_frames)
        if count < 1:
            return np.empty(0, dtype=np.int64)
        edges = np.linspace(first, behind, count + 1)
        inside = np.full(count, 0.5)
        if self.rule == 'random':
            inside = np.random.default_rng([*results['item_seed'], 1]).random(count)
        position = edges[:-1] + inside * np.diff(edges)
        return np.minimum(position.astype(np.int64), behind - 1)

    def _whole_seconds(self, results: Results) -> np.ndarray:
        """One frame per second (DiffusionRet, `rawvideo_util.py` 40-132)."""
        total, rate = int(results['total_frames']), int(_frame_rate(results))
        if rate < 1:
            raise VideoReadError(f'{results.get("filename")} has less than one frame per second.')
        end = math.ceil(total / rate)
        if results.get('end') is not None:
            end = min(int(results['end']), end)
        frames = np.arange(int(results.get('start') or 0), end + 1, dtype=np.int64) * rate
        frames = frames[frames < total]
        if len(frames) > self.num_frames:
            frames = frames[np.linspace(0, len(frames) - 1, self.num_frames, dtype=int)]
        return frames


def _part(results: Results) -> tuple[int, int]:
    """The first frame of the wanted part and the one behind its last."""
    total = int(results['total_frames'])
    start, end = results.get('start') or 0, results.get('end')
    if not start and end is None:
        return 0, total
    rate = _frame_rate(results)
    return int(start * rate), total if end is None else min(total, math.ceil(end * rate))


def _frame_rate(results: Results) -> float:
    """Frames per second, from where the decoder's transform left it."""
    for key in ('fps', 'avg_fps'):
        if results.get(key):
            return float(results[key])
    reader = results.get('video_reader')
    if hasattr(reader, 'fps'):  # OpenCV
        return float(reader.fps)
    if hasattr(reader, 'streams'):  # PyAV
        return float(reader.streams.video[0].average_rate)
    raise VideoReadError(f'The frame rate of {results.get("filename")} is not known.')


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
