"""A bar for what takes minutes."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(total: int, title: str | None, unit: str) -> tqdm:
    """Return a bar with rate and time left; a log file gets a line every few seconds.

    Args:
        total: Number of steps; `update` counts them.
        title: What the bar is called; None shows no bar.
        unit: What a step is, such as `'video'`.
    """
    # A log file needs no new line several times a second.
    interval = 0.2 if sys.stderr.isatty() else 5
    return tqdm(total=total, desc=title, unit=unit, mininterval=interval, disable=title is None)
