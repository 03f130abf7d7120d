"""Files that are complete or absent, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def open_atomically(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    What was under the name before stays there until then, also if the process is killed or the
    machine loses power.

    Args:
        path: File to write; missing parent folders are made.

    Yields:
        A binary file in the same folder, renamed to `path` on success and deleted if the block
        raises.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        with temporary.open('wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of files opened by `open_atomically`.

    Args:
        folder: Folder that no other process writes to now.
    """
    for leftover in Path(folder).glob('.*.tmp'):
        leftover.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a renaming last; some network file systems cannot, and need not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
