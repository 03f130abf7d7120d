"""Conditions on the files of a gallery, as its table wants them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import PurePath

from diffusionret_mm.search.libraries import Libraries
from diffusionret_mm.search.tables import quoted


def all_of(conditions: Sequence[str | None]) -> str | None:
    """Return the condition that all of some hold; None if there is none."""
    given = [condition for condition in conditions if condition is not None]
    if len(given) < 2:
        return given[0] if given else None
    return ' AND '.join(f'({condition})' for condition in given)


def within(folder: str | os.PathLike[str], libraries: Libraries) -> str:
    """Return the condition that a file lies in a folder or below it.

    Args:
        folder: the folder; it need not exist any more.
        libraries: the libraries of the gallery.

    Raises:
        ValueError: if the folder has no part in any library.
    """
    path = os.path.abspath(folder)
    parts = []
    for name, root in libraries.roots.items():
        if _contains(path, root):
            parts.append(f'library = {quoted(name)}')
        elif _contains(root, path):
            start = PurePath(os.path.relpath(path, root)).as_posix() + '/'
            parts.append(f'library = {quoted(name)} AND starts_with(path, {quoted(start)})')
    if not parts:
        roots = ', '.join(sorted(libraries.roots.values())) or 'none'
        raise ValueError(
            f'--within {os.fspath(folder)}: the gallery has nothing there; its folders are {roots}.'
        )
    return ' OR '.join(parts)


def changed_from(text: str) -> str:
    """Return the condition that a file was changed at a time or later.

    Args:
        text: a date, or a date with a time, in ISO's form; of this machine's time zone, unless it
            names one.

    Raises:
        ValueError: if it is none.
    """
    return f'mtime >= {_timestamp(_parse(text, "--from"))}'


def changed_to(text: str) -> str:
    """Return the condition that a file was changed before a time, or on a date or before.

    Arguments and errors as of `changed_from`.
    """
    end = _parse(text, '--to')
    if _is_date(text):
        end += timedelta(days=1)
    return f'mtime < {_timestamp(end)}'


def _contains(folder: str, path: str) -> bool:
    return os.path.commonpath([folder, path]) == folder


def _is_date(text: str) -> bool:
    return len(text.strip()) == len('2024-05-01')


def _parse(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(
            f'{option} {text}: a date is wanted, such as 2024-05-01 or 2024-05-01T18:30.'
        ) from error


def _timestamp(moment: datetime) -> str:
    """Return a time as SQL has it, in UTC as the table."""
    return f"timestamp '{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}'"
