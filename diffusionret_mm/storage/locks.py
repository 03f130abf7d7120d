"""Keep processes from writing the same thing at the same time."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout


class LockedError(RuntimeError):
    """Another process holds a lock.

    Args:
        text: What is said of it.
        holder: The process that holds it.
    """

    def __init__(self, text: str, holder: str = '') -> None:
        super().__init__(text)
        self.holder = holder


@contextmanager
def locked(target: Path, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the lock of a file or folder, which is a hidden file beside it.

    The lock ends with this process, however it ends. It also holds between the threads of one
    process.

    Args:
        target: What is going to be written; its parent folders are made.
        on_wait: Takes a message that names the holder if there is one already; then this waits
            until the lock is free. None refuses instead.

    Raises:
        LockedError: If another process holds the lock, and `on_wait` is not given.
        OSError: If the lock file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    note = lock_file_of(target)
    lock = FileLock(note)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        holder = _read(note) or 'another process'
        if on_wait is None:
            raise LockedError(
                f'Another process is preparing {target} ({holder}); wait for it.', holder
            ) from None
        on_wait(f'Waiting for {holder}, which is working on {target}.')
        lock.acquire()
    try:
        _write(note, f'process {os.getpid()} on {platform.node()}')
        yield
    finally:
        _write(note, '')
        lock.release()


def lock_file_of(target: Path) -> Path:
    """Return the lock file of a file or folder; it stays there, and says who holds it."""
    return target.with_name(f'.{target.name}.lock')


def _read(note: Path) -> str:
    with suppress(OSError):
        return note.read_text(encoding='utf-8')
    return ''


def _write(note: Path, holder: str) -> None:
    """Say who holds the lock; it holds without that, also on a disk that is full."""
    with suppress(OSError):
        note.write_text(holder, encoding='utf-8')
