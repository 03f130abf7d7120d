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
# Seconds: below these, times are the same, and those of a file may be rounded.
TOLERANCE = 1e-6
ROUNDING = 2e-3


@TRANSFORMS.register_module()
class SampleVideoFrames(BaseTransform):
    """Choose the frames of a video, or of the part from `start` to `end` seconds.

    Stands in `DecodeVideo`, or between mmaction's `DecordInit` and `DecordDecode` (or the PyAV and
    OpenCV ones), which know no times of the frames.

    A part holds the frames that begin from `start` to `end`, by their times, or else the one that
    is on the screen then. Of an even rate, and where times are not known, it also holds the frame
    that is on the screen at `start`.

    Required keys: total_frames; random rule: item_seed (`TextVideoDataset` sets it); whole seconds
    or a part of a video: the frame rate, as `fps`, `avg_fps` or in the reader. Used if present:
    frame_times, in seconds [total_frames], ascending; nominal_fps, for whole seconds; start and
    end, in seconds.
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
        return segment_frames(first, behind, count, results if self.rule == 'random' else None)

    def _whole_seconds(self, results: Results) -> np.ndarray:
        """One frame per second (DiffusionRet, `rawvideo_util.py` 40-132)."""
        nominal = results.get('nominal_fps') or _frame_rate(results)
        total, rate = int(results['total_frames']), int(nominal)
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


@TRANSFORMS.register_module()
class ThinFrames(BaseTransform):
    """Keep a random one of each of `num_frames` equal segments of the frames that are loaded.

    With frames in memory (`CacheInMemory`), more of them than the model takes, each epoch sees
    others. Required keys: imgs, item_seed. Modified keys: imgs, num_frames.

    Args:
        num_frames: number of frames; a video that has fewer keeps all.

    Raises:
        ValueError: if it is below 1.
    """

    def __init__(self, num_frames: int) -> None:
        if num_frames < 1:
            raise ValueError(f'num_frames must be at least 1; got {num_frames}.')
        self.num_frames = num_frames

    def transform(self, results: Results) -> Results:
        """Leave frames out."""
        images = results['imgs']
        count = min(len(images), self.num_frames)
        results['imgs'] = [images[i] for i in segment_frames(0, len(images), count, results)]
        results['num_frames'] = self.num_frames
        return results


def segment_frames(first: int, behind: int, count: int, drawn: Results | None) -> np.ndarray:
    """Choose one frame of each equal segment.

    Args:
        first: the first frame.
        behind: the frame behind the last.
        count: number of segments, at most the number of frames.
        drawn: the item, whose item_seed the draws depend on; None takes the middle frames.

    Returns:
        Numbers of frames, shape [count], int64, ascending.
    """
    edges = np.linspace(first, behind, count + 1)
    inside = np.full(count, 0.5)
    if drawn is not None:
        inside = np.random.default_rng([*drawn['item_seed'], 1]).random(count)
    position = edges[:-1] + inside * np.diff(edges)
    return np.minimum(position.astype(np.int64), behind - 1)


def _part(results: Results) -> tuple[int, int]:
    """The first frame of the wanted part and the one behind its last."""
    total = int(results['total_frames'])
    start, end = results.get('start') or 0, results.get('end')
    if not start and end is None:
        return 0, total
    times = results.get('frame_times')
    if times is None:
        return _even_part(start, end, _frame_rate(results), total)
    rate = _even_rate(times, results['fps'])
    if rate is None:
        return _part_by_times(times, start, end, results['fps'])
    # Most files start at second 0, where nothing is to be shifted.
    late = 0.0 if abs(times[0]) < TOLERANCE else float(times[0])
    start = start - late + TOLERANCE if late else start
    end = end - late - TOLERANCE if late and end is not None else end
    return _even_part(start, end, rate, total)


def _even_part(start: float, end: float | None, rate: float, total: int) -> tuple[int, int]:
    behind = total if end is None else min(total, math.ceil(end * rate))
    return max(0, int(start * rate)), behind


def _part_by_times(
    times: np.ndarray, start: float, end: float | None, rate: float
) -> tuple[int, int]:
    total = len(times)
    if rate and start > times[-1] + 1 / rate:
        return total, total  # behind the last frame
    first, behind = np.searchsorted(times, np.array([start, end or np.inf]) - TOLERANCE)
    # Where none begins in the part, there is the one that is still on the screen.
    return max(0, min(int(first), int(behind) - 1)), int(behind)


def _even_rate(times: np.ndarray, rate: float) -> float | None:
    """Return the rate at which frames follow each other, but for what a file rounds; or None.

    It is the mean rate that a file states, or that of its times, where it states another.
    """
    span = times[-1] - times[0]
    for candidate in (rate, (len(times) - 1) / span if span > 0 else 0):
        if candidate:
            expected = times[0] + np.arange(len(times)) / candidate
            if np.abs(times - expected).max() < ROUNDING:
                return candidate
    return None


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
