"""Which spans a video is cut into, and which of its frames each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffusionret_mm.datasets.spans.moments import Moments

# Seconds: below these, times are the same.
TOLERANCE = 1e-6

Sample = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class PlannedSpan:
    """A part of a video and the frames that stand for it.

    Attributes:
        start: second at which it begins.
        end: second at which it ends.
        kind: 'video' for a whole one, 'window' or 'shot'.
        numbers: which of the shown frames, ascending; at least one.
    """

    start: float
    end: float
    kind: str
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Timeline:
    """Frames of a video, from which spans take theirs.

    Attributes:
        numbers: which of the shown frames they are, ascending, [n] int64.
        times: seconds at which they appear, [n] float64.
        end: second at which the last one ends.
        fps: how many there are per second; 0 if unknown.
        nominal_fps: the same, as the file states it.
    """

    numbers: np.ndarray
    times: np.ndarray
    end: float
    fps: float
    nominal_fps: float

    def span(self, start: float, end: float, kind: str, sample: Sample) -> PlannedSpan:
        """Plan a span; its frames are sampled as those of a video of its own.

        It has the frames that appear from `start` to before `end`. If there is none, it has the one
        that is on the screen then.

        Args:
            start: second at which it begins.
            end: second at which it ends.
            kind: kind of the span.
            sample: transform that chooses the frames of a video, such as `SampleVideoFrames`.
        """
        behind = self._behind(end)
        first = max(0, min(self._behind(start), behind - 1))
        behind = max(behind, first + 1)
        times = self.times[first:behind]
        chosen = sample(
            dict(
                total_frames=len(times),
                frame_times=times - times[0],
                fps=self.fps,
                nominal_fps=self.nominal_fps,
            )
        )
        numbers = self.numbers[first:behind][np.ravel(chosen['frame_inds'])]
        return PlannedSpan(start, end, kind, tuple(sorted({int(number) for number in numbers})))

    def on_screen(self, time: float) -> int:
        """Return the number of the last frame that appears before a second."""
        return int(self.numbers[max(0, self._behind(time) - 1)])

    def _behind(self, time: float) -> int:
        """Return how many frames appear before a second."""
        return int(np.searchsorted(self.times, time - TOLERANCE))


def plan_video(timeline: Timeline, sample: Sample) -> list[PlannedSpan]:
    """Plan one span of the whole video; arguments as of `plan_windows`."""
    return [timeline.span(0.0, timeline.end, 'video', sample)]


def plan_windows(timeline: Timeline, sample: Sample, moments: Moments) -> list[PlannedSpan]:
    """Plan overlapping windows across cuts; the last ends with the video, and may be shorter.

    A video shorter than the first two windows is one span.

    Args:
        timeline: all frames of the video.
        sample: transform that chooses the frames of a span.
        moments: says how long windows are, and how often one begins.
    """
    length, step = moments.length, moments.step
    if timeline.end < length + step:
        return plan_video(timeline, sample)
    count = 1 + int(np.ceil((timeline.end - length - TOLERANCE) / step))
    starts = step * np.arange(count)
    ends = np.minimum(starts + length, timeline.end)
    bounds = zip(starts.tolist(), ends.tolist(), strict=True)
    return [timeline.span(start, end, 'window', sample) for start, end in bounds]
