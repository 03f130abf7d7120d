"""How long a file of any origin may take."""

from __future__ import annotations

import os

# Seconds for any file, and bytes for which one more second is given.
BASE_SECONDS = 60.0
BYTES_PER_SECOND = 250_000


def time_limit(path: str | os.PathLike[str], seconds: float | None = None) -> float:
    """Return the seconds that reading a video may take: more for larger files.

    Args:
        path: the file.
        seconds: for any file; None: 60. Each quarter of a megabyte adds a second.
    """
    base = BASE_SECONDS if seconds is None else seconds
    try:
        return base + os.stat(path).st_size / BYTES_PER_SECOND
    except OSError:
        return base
