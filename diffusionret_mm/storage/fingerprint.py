"""Short texts by which one knows whether something has changed."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, NamedTuple


class FileVersion(NamedTuple):
    """What tells a file from its earlier and later states, without reading it.

    Attributes:
        bytes: Its size.
        mtime_ns: When it was changed, in nanoseconds.
    """

    bytes: int
    mtime_ns: int


def version_of_file(path: str | os.PathLike[str]) -> FileVersion:
    """Return the version of a file.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If it does not exist.
    """
    status = os.stat(path)
    return FileVersion(status.st_size, status.st_mtime_ns)


def fingerprint_of(value: Any) -> str:
    """Return a text of 16 digits that differs for any two values that JSON can hold.

    Args:
        value: What JSON can hold; the order of keys does not count.

    Examples:
        >>> fingerprint_of(dict(size=224, frames=12)) == fingerprint_of(dict(frames=12, size=224))
        True
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Args:
        path: The file.
    """
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
