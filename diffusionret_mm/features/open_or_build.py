"""One process builds a cache, whole or not at all; the others wait and use it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from diffusionret_mm.features.store import FeatureStore, FeatureWriter, defect
from diffusionret_mm.storage.folders import build_folder
from diffusionret_mm.storage.locks import locked

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)

Log = Callable[[str], None]


def open_or_build(
    root: Path, fingerprint: Mapping[str, str], fill: Callable[[FeatureWriter], None], log: Log
) -> FeatureStore:
    """Open a cache; build it if there is none, or one that is stale or cut short.

    Processes that want it at the same time wait for the first one. If that one dies, the next takes
    over: the kernel frees the lock of a dead process.

    Args:
        root: folder of the cache. It appears only when it is complete.
        fingerprint: what the cache must be made of, by parts.
        fill: writes the arrays.
        log: takes messages.

    Returns:
        The opened cache.

    Raises:
        FileExistsError: if the folder holds something else.
        OSError: if the disk is full, or the folder cannot be written.
    """
    with locked(root, on_wait=log):
        reason = defect(root, fingerprint)
        if reason is not None:
            log(f'Building the feature cache {root}: {reason}.')
            _build(root, fingerprint, fill)
        return FeatureStore.open(root)


def check_space(folder: Path, num_bytes: int) -> None:
    """Refuse to start what the disk cannot hold.

    Args:
        folder: an existing folder on the disk.
        num_bytes: bytes that will be written.

    Raises:
        OSError: if fewer are free.
    """
    free = shutil.disk_usage(folder).free
    if num_bytes > free:
        raise OSError(errno.ENOSPC, f'{num_bytes / 1e9:.1f} GB are needed, {free / 1e9:.1f} free')


def _build(
    root: Path, fingerprint: Mapping[str, str], fill: Callable[[FeatureWriter], None]
) -> None:
    """Build in a folder beside the cache, then put it into place."""
    try:
        with build_folder(root, replace=True) as scratch:
            writer = FeatureWriter(scratch)
            try:
                fill(writer)
                writer.finish(fingerprint)
            finally:
                writer.close()
    except OSError as error:
        if error.errno in FULL_DISK:
            raise OSError(
                error.errno,
                f'The disk has no room for the feature cache {root}: {error.strerror}. Free some, '
                'or give FeatureCacheHook a directory on another disk; nothing was left behind.',
            ) from error
        raise
