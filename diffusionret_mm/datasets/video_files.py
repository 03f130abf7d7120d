"""The videos of a folder, found by name whatever their extension, sub-folder and case."""

from __future__ import annotations

import os
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from diffusionret_mm.storage.names import is_utf8, printable, why_not_a_file

VIDEO_SUFFIXES = frozenset(
    {'.mp4', '.avi', '.webm', '.mkv', '.mov', '.m4v', '.mpg', '.mpeg', '.flv', '.wmv', '.ogv'}
    | {'.3gp', '.3gpp', '.3g2', '.mts', '.m2ts', '.ts', '.qt'}
    | {'.', '.null'}  # DiDeMo has such files, too
)
# Of files with the same name, these come after the others. Those of digits alone, such as .264, are
# not here: ids end like that.
RARE_SUFFIXES = frozenset(
    {'.amv', '.asf', '.avc', '.av1', '.divx', '.dv', '.evo', '.f4p', '.f4v', '.gif', '.gxf'}
    | {'.h264', '.h265', '.hevc', '.insv', '.ivf', '.lrv', '.m1v', '.m2p', '.m2t', '.m2v', '.m4p'}
    | {'.mjpeg', '.mjpg', '.mk3d', '.mpe', '.mpv', '.mxf', '.nsv', '.nut', '.obu', '.ogm', '.ogx'}
    | {'.rm', '.rmvb', '.trp', '.vob', '.vro', '.wtv', '.xvid', '.y4m'}
)
ALL_SUFFIXES = VIDEO_SUFFIXES | RARE_SUFFIXES
# What says nothing of what is in the file.
VAGUE_SUFFIXES = frozenset({'', '.', '.null'})


def looks_like_a_file(text: str) -> bool:
    """Tell whether a text looks like the name of a video rather than a sentence."""
    return Path(text).suffix.lower() in ALL_SUFFIXES - {'.'} and ' ' not in text.strip()


@dataclass
class _Index:
    """What a walk through a folder found; keys are names without their extensions."""

    by_key: dict[str, str] = field(default_factory=dict)
    by_folded_key: dict[str, str] = field(default_factory=dict)
    by_file_name: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, list[str]] = field(default_factory=dict)
    folder_times: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    passed_over: dict[str, str] = field(default_factory=dict)
    other_suffixes: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, path: str) -> None:
        suffix = os.path.splitext(name)[1].lower()
        if suffix and suffix not in ALL_SUFFIXES:
            self.other_suffixes[suffix] += 1
            return
        if suffix in VAGUE_SUFFIXES:
            self.other_suffixes[suffix] += 1
        else:
            self.paths.append(path)
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

    Where several files have the same name, the one in the highest folder is taken, then one of the
    usual extensions, then the first in alphabetical order of paths.

    Args:
        folder: folder of the videos and of sub-folders, which may be links.

    Raises:
        FileNotFoundError: if the folder does not exist.
        NotADirectoryError: if it is a file.
        ValueError: if its name is not UTF-8.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        if self.folder.is_file():
            raise NotADirectoryError(f'{self.folder} is a file; give the folder of the videos.')
        root = os.path.abspath(self.folder)
        if not is_utf8(root):
            raise ValueError(f'The name {printable(root)} is not UTF-8; rename the folder.')
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f'The video folder {self.folder} does not exist; set data_root or videos in the '
                'config to where the videos are.'
            )
        if root not in _indices or not _indices[root].is_current():
            _indices[root] = _walk(root)
        self._index = _indices[root]

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._index.by_key)

    @property
    def paths(self) -> list[str]:
        """Paths of all files named like a video, higher folders first."""
        return list(self._index.paths)

    @property
    def passed_over(self) -> dict[str, str]:
        """What cannot be read as a file or a folder, with the reason, by path."""
        return dict(self._index.passed_over)

    @property
    def other_files(self) -> str:
        """How many files are not named like a video, by extension; empty if there is none."""
        return ', '.join(
            f'{count:,} {printable(suffix) or "without extension"}'
            for suffix, count in sorted(self._index.other_suffixes.items())
        )

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
    while suffix and suffix.lower() in ALL_SUFFIXES:
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
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                index.passed_over[folder] = 'it leads to a folder that is searched already'
                continue
            with os.scandir(folder) as found:
                entries = sorted(found, key=_order)
        except OSError as error:
            if folder == root:
                raise
            index.passed_over[folder] = error.strerror.lower()
            continue
        seen.add((status.st_dev, status.st_ino))
        index.folder_times[folder] = status.st_mtime_ns
        for entry in entries:
            _take(index, folders, entry)
    return index


def _order(entry: os.DirEntry[str]) -> tuple[bool, str]:
    return os.path.splitext(entry.name)[1].lower() in RARE_SUFFIXES, entry.name


def _take(index: _Index, folders: deque[str], entry: os.DirEntry[str]) -> None:
    """Take an entry of a folder; what the folder says of it is enough unless it is a link."""
    if entry.name.startswith('.') and not entry.is_dir(follow_symlinks=False):
        return
    plain = entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)
    if not plain or not is_utf8(entry.name):
        reason = why_not_a_file(entry.path)
        if reason:
            index.passed_over[entry.path] = reason
            return
    if entry.is_dir():
        folders.append(entry.path)
    else:
        index.add(entry.name, entry.path)
