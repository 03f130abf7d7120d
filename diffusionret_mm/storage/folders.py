"""Folders that are complete or absent, whatever happens while they are built."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffusionret_mm.storage.files import leftovers_of, sync_folder, temporary_name


@contextmanager
def build_folder(target: Path, replace: bool = False) -> Iterator[Path]:
    """Give the path of a temporary folder that becomes `target` when it is complete.

    What killed processes left of the same target is removed first. So hold the lock of the target
    (`locked`), or two processes remove each other's work.

    Args:
        target: Folder to build; missing parent folders are made.
        replace: Whether a folder of that name is deleted once the new one is complete. Otherwise
            there must be none, or an empty one.

    Yields:
        A path in the same parent folder, for the block to make a folder at. It is renamed to
        `target` on success and deleted if the block raises.

    Raises:
        OSError: If the target cannot be written, or is not empty and `replace` is not set.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in leftovers_of(target):
        shutil.rmtree(leftover)
    scratch = temporary_name(target)
    try:
        yield scratch
        if replace and target.exists():
            shutil.rmtree(target)
        scratch.replace(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
