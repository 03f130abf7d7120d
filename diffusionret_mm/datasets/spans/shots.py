"""Shots of a video, found while it is read."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from diffusionret_mm.extras import import_extra

# Seconds: a longer shot is cut, a shorter one joined to a neighbour.
LONGEST = 20.0
SHORTEST = 2.0
# Pixels: the detector sees frames of this width, at most.
DETECTION_WIDTH = 256
# Frames on either side of a frame that it is compared with.
DELAY = 2

Shot = tuple[float, float]


class ContentCuts:
    """Says between which frames a video is cut, by two of PySceneDetect's detectors.

    A cut is where a frame differs much from the one before (its detector of content), or less, but
    three times as much as the frames around it do (its adaptive detector).

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


class ShotPlanner:
    """Turns cuts, as they are found, into shots of 2 to 20 seconds without gaps.

    A shorter shot is joined to the next one, the last to the one before. What is longer is cut
    after every 20 seconds, or in half where less than 2 seconds would be left. Shots come out at
    most 24 seconds after they began.
    """

    def __init__(self) -> None:
        self._start = 0.0
        self._held: Shot | None = None

    def advance(self, time: float, is_cut: bool) -> list[Shot]:
        """Go on to a frame.

        Args:
            time: second at which it appears.
            is_cut: whether it is the first of a shot.

        Returns:
            The shots that are known now.
        """
        known: list[Shot] = []
        while time - self._start >= LONGEST + SHORTEST:
            known += self._end_shot(self._start + LONGEST)
        if time - self._start >= SHORTEST:
            known += self._release()
            if is_cut:
                known += self._end_shot(time)
        return known

    def finish(self, end: float) -> list[Shot]:
        """Return the shots that are left.

        Args:
            end: second at which the video ends.
        """
        known = self.advance(end, is_cut=False)
        if self._held is not None:  # the last one is too short
            self._held = self._held[0], end
        else:
            self._held = self._start, end
        return known + self._release()

    def _end_shot(self, end: float) -> list[Shot]:
        known = self._release()
        self._held, self._start = (self._start, end), end
        return known

    def _release(self) -> list[Shot]:
        if self._held is None:
            return []
        (start, end), self._held = self._held, None
        if end - start <= LONGEST:
            return [(start, end)]
        middle = (start + end) / 2
        return [(start, middle), (middle, end)]
