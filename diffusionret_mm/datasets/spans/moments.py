"""How a video is cut into spans."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOMENTS = ('none', 'windows', 'shots')
# Seconds of a window, and from one to the next.
LENGTH = 10.0
STEP = 5.0
# Seconds: below these, steps make thousands of windows a minute.
SHORTEST_STEP = 0.1
# Seconds: ten frames of each are in memory until it is known where the shot ends.
LONGEST_IN_SHOT = 120.0


@dataclass(frozen=True)
class Moments:
    """How a video is cut into spans.

    Args:
        kind: 'none' for one span, the whole video; 'windows' for overlapping ones; 'shots' for
            those between cuts.
        length: seconds of a window.
        step: seconds from one window to the next.
        across_cuts: whether windows heed no cuts, as in galleries of before.

    Raises:
        ValueError: if there is no such kind, windows would leave gaps, be too many or too long, or
            another kind is given what windows have.
    """

    kind: str = 'none'
    length: float = LENGTH
    step: float = STEP
    across_cuts: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in MOMENTS:
            raise ValueError(f'moments must be one of {MOMENTS}; got {self.kind!r}.')
        of_windows = self.length, self.step, self.across_cuts
        if self.kind != 'windows' and of_windows != (LENGTH, STEP, False):
            raise ValueError(
                f"Only 'windows' have a length and a step, or go across cuts, not {self.kind!r}."
            )
        if not SHORTEST_STEP <= self.step <= self.length < math.inf:
            raise ValueError(
                f'The step of windows must be {SHORTEST_STEP:g} seconds or more and at most their '
                f'length; got windows of {self.length:g} s every {self.step:g} s.'
            )
        if self.length > LONGEST_IN_SHOT and not self.across_cuts:
            raise ValueError(
                f'Windows that end at cuts are at most {LONGEST_IN_SHOT:g} s long, not '
                f"{self.length:g} s; 'none' finds a video as a whole."
            )

    @classmethod
    def of_gallery(cls, stored: Mapping[str, Any]) -> Moments:
        """Read what a gallery keeps of them.

        Args:
            stored: its values. Galleries of before have no moments, or windows across cuts.
        """
        return cls(**{'across_cuts': stored.get('kind') == 'windows', **stored})

    @property
    def end_at_cuts(self) -> bool:
        """Whether no span contains a cut."""
        return self.kind != 'none' and not self.across_cuts

    def __str__(self) -> str:
        """Name the kind, and of windows the seconds."""
        if self.kind != 'windows':
            return self.kind
        across = ' across cuts' if self.across_cuts else ''
        return f'windows of {self.length:g} s every {self.step:g} s{across}'
