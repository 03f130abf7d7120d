"""The subtitle files beside videos, found by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from diffusionret_mm.datasets.video_files import ALL_SUFFIXES

SUFFIXES = frozenset({'.srt', '.vtt'})
# A language, or for whom the lines are: film.en.srt, film.pt-BR.forced.vtt.
TAG = re.compile(r'\.([a-z]{2,3}([-_][a-z0-9]{2,8})*|forced|default|sdh|cc|hi)', re.IGNORECASE)


def find_subtitle_files(videos: Iterable[str]) -> dict[str, list[str]]:
    """Find the subtitle files beside videos.

    `film.srt`, `film.vtt` and, with a language, `film.en.srt` belong to `film.mp4`; a file belongs
    to the video whose name is the longest part of its own.

    Args:
        videos: absolute paths.

    Returns:
        Paths of the files, sorted, by path of each video that has any.

    Raises:
        OSError: if a folder cannot be listed.
    """
    by_folder: dict[str, dict[str, list[str]]] = {}
    for path in videos:
        stems = by_folder.setdefault(os.path.dirname(path), {})
        stems.setdefault(_stem(path), []).append(path)
    found: dict[str, list[str]] = {}
    for folder, stems in by_folder.items():
        for name, stem in _owned(sorted(os.listdir(folder)), stems):
            for path in stems.get(stem, []):
                found.setdefault(path, []).append(os.path.join(folder, name))
    return found


def _owned(names: Sequence[str], stems: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the subtitle files of a folder with the stems of the videos that they belong to."""
    known = {*stems} | {_stem(name) for name in names if _suffix(name) in ALL_SUFFIXES}
    for name in names:
        if _suffix(name) not in SUFFIXES:
            continue
        stem = _stem(name)
        while stem not in known and TAG.fullmatch(os.path.splitext(stem)[1]):
            stem = _stem(stem)
        if stem in known:
            yield name, stem


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _stem(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]
