"""Files that are complete or absent, whatever happens while they are written."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def written_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a temporary file that becomes `path` when it is complete.

    For libraries that open files themselves; `open_atomically` is for everything else. What was
    under the name before stays there until then, also if the process is killed or the machine
    loses power.

    Args:
        path: File to write; missing parent folders are made.

    Yields:
        A path in the same folder, for the block to write to. The file is renamed to `path` on
        success and deleted if the block raises.

    Raises:
        OSError: If it cannot be written; it has the path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename is None:  # writing does not say where
            error.filename = os.fspath(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


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
    with written_beside(path) as temporary, temporary.open('wb') as file:
        yield file


def write_json(
    path: str | os.PathLike[str],
    content: Any,
    indent: int | None = None,
    default: Callable[[Any], Any] | None = None,
) -> None:
    """Write a JSON file, whole or not at all.

    Args:
        path: File to write; missing parent folders are made.
        content: What JSON can hold.
        indent: Spaces per level; None writes one line.
        default: Turns what JSON cannot hold into something that it can.

    Raises:
        TypeError: If JSON cannot hold the content, and `default` is not given.
    """
    with open_atomically(path) as file:
        file.write((json.dumps(content, indent=indent, default=default) + '\n').encode())


def temporary_name(path: Path) -> Path:
    """Return the hidden name that a file or folder has while this process writes it.

    Args:
        path: The name that it has when it is complete.
    """
    return path.with_name(f'.{path.name}.{os.getpid()}.tmp')


def leftovers_of(path: Path) -> Iterator[Path]:
    """List what processes that write one file or folder, or were killed then, have made so far.

    Args:
        path: The name that it has when it is complete.
    """
    return path.parent.glob(f'.{glob.escape(path.name)}.*.tmp')


def remove_leftovers(folder: str | os.PathLike[str], recursive: bool = False) -> None:
    """Remove what killed processes left of files that were to appear when they are complete.

    Folders under construction stay; `build_folder` removes those.

    Args:
        folder: Folder that no other process writes to now.
        recursive: Whether to look into its sub-folders too.
    """
    find = Path(folder).rglob if recursive else Path(folder).glob
    for leftover in find('.*.tmp'):
        if leftover.is_file():
            leftover.unlink(missing_ok=True)


def sync_file(path: str | os.PathLike[str]) -> None:
    """Bring what a file holds to the disk.

    Raises:
        OSError: If there is no room for it, or no such file.
    """
    with open(path, 'rb') as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a renaming in a folder last; some network file systems cannot, and need not."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
