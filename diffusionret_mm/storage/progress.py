"""A bar for what takes minutes."""

import sys

from tqdm import tqdm


def progress_bar(total: int, title: str, unit: str) -> tqdm:
    """Return a bar with rate and time left; a log file gets a line every few seconds."""
    interval = 0.2 if sys.stderr.isatty() else 5
    return tqdm(total=total, desc=title, unit=unit, mininterval=interval)
