"""Shots of a video, and windows within them, found while it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

import cv2
import numpy as np

from diffusionret_mm.datasets.spans.moments import Moments
from diffusionret_mm.datasets.spans.planning import TOLERANCE
from diffusionret_mm.extras import import_extra

# Seconds: a longer shot is cut, a shorter one joined to a neighbour.
LONGEST = 20.0
SHORTEST = 2.0
# Pixels: the detector sees frames of this width, at most.
DETECTION_WIDTH = 256
# Frames on either side of a frame that it is compared with.
DELAY = 2

Bounds = tuple[float, float]


class ContentCuts:
    """Says between which frames a video is cut, by two of PySceneDetect's detectors.

    A cut is where a frame differs much from the one before (its detector of content). It is also
    where a frame differs less, but three times as much as those around it (its adaptive detector).

    Args:
        fps: frames per second that it is shown.

    Raises:
        ModuleNotFoundError: if PySceneDetect is not installed.
    """

    def __init__(self, fps: float) -> None:
        scenedetect = import_extra('scenedetect', 'moments')
        # Shots that are too short are joined below, by their times.
        self._content = scenedetect.ContentDetector(min_scene_len=0)
        self._adaptive = scenedetect.AdaptiveDetector(min_scene_len=0, window_width=DELAY)
        self._timecode, self._fps, self._count = scenedetect.FrameTimecode, fps or 1.0, 0
        self._waiting: deque[tuple[float, bool]] = deque()

    def take(self, time: float, image: np.ndarray) -> list[tuple[float, bool]]:
        """Take the next frame.

        Args:
            time: second at which it appears.
            image: [H, W, 3] uint8, RGB.

        Returns:
            The time of the frame of which is known now whether a cut lies before it, and that; none
            at first.
        """
        height, width = image.shape[:2]
        factor = min(1.0, DETECTION_WIDTH / width)
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        frame = self._timecode(self._count, self._fps), cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        self._count += 1
        self._waiting.append((time, bool(self._content.process_frame(*frame))))
        stands_out = bool(self._adaptive.process_frame(*frame))  # the frame that is due now
        if len(self._waiting) <= DELAY:
            return []
        due, differs = self._waiting.popleft()
        return [(due, differs or stands_out)]

    def finish(self) -> list[tuple[float, bool]]:
        """Return what `take` would of the frames that are left."""
        return list(self._waiting)


class CutPlanner(ABC):
    """Turns cuts, as they are found, into spans without gaps that contain none.

    A shot that is too short is joined to the next one, the last to the one before.

    Args:
        kind: kind of the spans.
        shortest: seconds; a shorter shot is too short.

    Attributes:
        kind: kind of the spans.
        start: second at which the next span begins.
    """

    def __init__(self, kind: str, shortest: float) -> None:
        self.kind = kind
        self.start = 0.0
        self._shortest = shortest
        self._shot = 0.0
        # Where the shot ends, unless what follows is too short.
        self._cut: float | None = None

    def advance(self, time: float, is_cut: bool) -> list[Bounds]:
        """Go on to a frame.

        Args:
            time: second at which it appears.
            is_cut: whether it is the first of a shot.

        Returns:
            Starts and ends of the spans that are known now.
        """
        known: list[Bounds] = []
        if self._cut is not None and time - self._cut >= self._shortest:
            known += self._last(self._cut)
            self.start = self._shot = self._cut
            self._cut = None
        if self._cut is None:
            known += self._known(time)
            if is_cut and time - self._shot >= self._shortest:
                self._cut = time
        return known

    def finish(self, end: float) -> list[Bounds]:
        """Return the spans that are left.

        Args:
            end: second at which the video ends.
        """
        known = self.advance(end, is_cut=False)
        known += self._known(end) + self._last(end)
        self.start = end
        return known

    @abstractmethod
    def _known(self, time: float) -> list[Bounds]:
        """Go on to where a shot lasts at least; return spans that do not depend on its end."""

    @abstractmethod
    def _last(self, end: float) -> list[Bounds]:
        """Return the other spans of a shot, which ends there."""


class ShotPlanner(CutPlanner):
    """Plans shots of 2 to 20 seconds.

    What is longer is cut after every 20 seconds, or in half where less than 2 seconds would be
    left. Shots come out at most 24 seconds after they began.
    """

    def __init__(self) -> None:
        super().__init__('shot', SHORTEST)

    def _known(self, time: float) -> list[Bounds]:
        known = []
        while time - self.start >= LONGEST + SHORTEST:
            known.append((self.start, self.start + LONGEST))
            self.start += LONGEST
        return known

    def _last(self, end: float) -> list[Bounds]:
        if end - self.start <= LONGEST:
            return [(self.start, end)]
        middle = (self.start + end) / 2
        return [(self.start, middle), (middle, end)]


class WindowPlanner(CutPlanner):
    """Plans overlapping windows within shots; the last of a shot ends with it.

    A shot shorter than the first two windows is one span. No shot is shorter than 2 seconds, or
    than a window that is shorter.

    Args:
        length: seconds of a window.
        step: seconds from one window to the next.
    """

    def __init__(self, length: float, step: float) -> None:
        super().__init__('window', min(SHORTEST, length))
        self._length, self._step = length, step

    def _known(self, time: float) -> list[Bounds]:
        known = []
        while time - self.start >= self._length + self._step - TOLERANCE:
            known.append((self.start, self.start + self._length))
            number = round((self.start - self._shot) / self._step)
            self.start = self._shot + self._step * (number + 1)
        return known

    def _last(self, end: float) -> list[Bounds]:
        if self.start == self._shot:
            return [(self.start, end)]
        reached = min(self.start + self._length, end)
        if reached >= end - TOLERANCE:
            return [(self.start, end)]
        return [(self.start, reached), (self.start + self._step, end)]


def planner_of(moments: Moments) -> CutPlanner:
    """Return what plans spans that end at cuts."""
    if moments.kind == 'windows':
        return WindowPlanner(moments.length, moments.step)
    return ShotPlanner()
