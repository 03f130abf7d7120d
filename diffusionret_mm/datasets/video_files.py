"""The videos of a folder, found by name whatever their extension, sub-folder and case."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

VIDEO_SUFFIXES = frozenset(
    {'.mp4', '.avi', '.webm', '.mkv', '.mov', '.m4v', '.mpg', '.mpeg', '.flv', '.wmv', '.ogv'}
    | {'.3gp', '.3gpp', '.3g2', '.mts', '.m2ts', '.ts', '.qt'}
    | {'.', '.null'}  # DiDeMo has such files, too
)


@dataclass
class _Index:
    """What a walk through a folder found; keys are names without their extensions."""

    by_key: dict[str, str] = field(default_factory=dict)
    by_folded_key: dict[str, str] = field(default_factory=dict)
    by_file_name: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, list[str]] = field(default_factory=dict)
    folder_times: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, path: str) -> None:
        key = strip_suffixes(name)
        self.by_file_name.setdefault(name, path)
        first = self.by_key.setdefault(key, path)
        self.by_folded_key.setdefault(key.casefold(), path)
        if first is not path:
            self.duplicates.setdefault(key, [first]).append(path)

    def is_current(self) -> bool:
        """Whether no file was added to, or removed from, the folders since the walk."""
        try:
            return all(
                os.stat(folder).st_mtime_ns == time for folder, time in self.folder_times.items()
            )
        except FileNotFoundError:
            return False


_indices: dict[str, _Index] = {}


class VideoFiles:
    """The videos below a folder.

    The folder is walked once per process, and again only after files were added or removed. Files
    are known by their name without video extensions (`a.mp4` and `a.avi.mp4` are both `a`); hidden
    files and those with another extension are passed over.

    Where several files have the same name, the one in the highest folder is taken, then the first
    in alphabetical order of paths.

    Args:
        folder: folder of the videos and of sub-folders, which may be links.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f'The video folder {self.folder} does not exist; set data_root or videos in the '
                'config to where the videos are.'
            )
        root = os.path.abspath(self.folder)
        if root not in _indices or not _indices[root].is_current():
            _indices[root] = _walk(root)
        self._index = _indices[root]

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._index.by_key)

    @property
    def duplicates(self) -> dict[str, list[Path]]:
        """Names that several files have, with these files; the first one is used."""
        return {
            key: [Path(path) for path in paths] for key, paths in self._index.duplicates.items()
        }

    def find(self, *names: str) -> Path | None:
        """Return the file of a video.

        A file of exactly the name goes before one of the same name without extensions, and that
        before one that differs in case.

        Args:
            *names: what the file may be called, the most likely name first; with or without
                extension.
        """
        index = self._index
        keys = [strip_suffixes(name) for name in names]
        for table, wanted in (
            (index.by_file_name, names),
            (index.by_key, keys),
            (index.by_folded_key, [key.casefold() for key in keys]),
        ):
            for name in wanted:
                if name in table:
                    return Path(table[name])
        return None


def strip_suffixes(name: str) -> str:
    """Return a file name without its video extensions.

    Examples:
        >>> [strip_suffixes(name) for name in ('a.avi.mp4', '00.28.8')]
        ['a', '00.28.8']
    """
    stem, suffix = os.path.splitext(name)
    while suffix and suffix.lower() in VIDEO_SUFFIXES:
        name = stem
        stem, suffix = os.path.splitext(name)
    return name


def _walk(root: str) -> _Index:
    """Index the folder, higher folders first, each in alphabetical order."""
    index = _Index()
    seen = set()
    folders = deque([root])
    while folders:
        folder = folders.popleft()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a link to a folder above it
            continue
        seen.add((status.st_dev, status.st_ino))
        index.folder_times[folder] = status.st_mtime_ns
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_dir():
                    folders.append(entry.path)
                elif _is_video(entry.name) and entry.is_file():
                    index.add(entry.name, entry.path)
    return index


def _is_video(name: str) -> bool:
    suffix = os.path.splitext(name)[1]
    return not name.startswith('.') and (not suffix or suffix.lower() in VIDEO_SUFFIXES)
