"""Keep processes from writing the same thing at the same time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of a file or folder, which is a hidden file beside it.

    The lock ends with this process, however it ends; its workers do not inherit it.

    Args:
        target: what is going to be written; its parent folders are made.

    Raises:
        RuntimeError: if another process holds the lock.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f'.{target.name}.lock').open('w') as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise RuntimeError(f'Another process is preparing {target}; wait for it.') from error
        yield
