"""How a video is cut into spans."""

from __future__ import annotations

import math
from dataclasses import dataclass

MOMENTS = ('none', 'windows', 'shots')
# Seconds of a window, and from one to the next.
LENGTH = 10.0
STEP = 5.0
# Seconds: below these, steps make thousands of windows a minute.
SHORTEST_STEP = 0.1


@dataclass(frozen=True)
class Moments:
    """How a video is cut into spans.

    Args:
        kind: 'none' for one span, the whole video; 'windows' for overlapping ones; 'shots' for
            those between cuts.
        length: seconds of a window.
        step: seconds from one window to the next.

    Raises:
        ValueError: if there is no such kind, windows would leave gaps or be too many, or another
            kind is given the seconds of windows.
    """

    kind: str = 'none'
    length: float = LENGTH
    step: float = STEP

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in MOMENTS:
            raise ValueError(f'moments must be one of {MOMENTS}; got {self.kind!r}.')
        if self.kind != 'windows' and (self.length, self.step) != (LENGTH, STEP):
            raise ValueError(f"Only 'windows' have a length and a step, not {self.kind!r}.")
        if not SHORTEST_STEP <= self.step <= self.length < math.inf:
            raise ValueError(
                f'The step of windows must be {SHORTEST_STEP:g} seconds or more and at most their '
                f'length; got windows of {self.length:g} s every {self.step:g} s.'
            )

    def __str__(self) -> str:
        """Name the kind, and of windows the seconds."""
        if self.kind != 'windows':
            return self.kind
        return f'windows of {self.length:g} s every {self.step:g} s'
