"""Convert a gallery of before Lance: python tools/convert_gallery.py OLD NEW."""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.command_line import AddRoot
from diffusionret_mm.apis.user_errors import GO_ON, stop_with_message
from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryError,
    GalleryWriter,
    Libraries,
    Span,
    VideoFile,
    maintain,
)
from diffusionret_mm.search.errors import DAMAGED
from diffusionret_mm.search.gallery import OLD_TABLE
from diffusionret_mm.search.schema import FRAME_WEIGHTS, FRAMES, MASK, POOLED, ArrayLayout
from diffusionret_mm.storage.progress import progress_bar

OLD_VERSION = 1
OLD_NAMES = {POOLED: 'pooled', FRAMES: 'frames', FRAME_WEIGHTS: 'frame_weights', MASK: 'frame_mask'}
ROWS_PER_FILE = 65_536
ROWS_PER_COMMIT = 4_096

OldVideo = tuple[int, str, int, int]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Convert a gallery of memory-mapped files and SQLite into Lance tables. A run '
        'that was killed continues. The old gallery stays as it is.'
    )
    parser.add_argument('old', type=Path, help='folder of the old gallery')
    parser.add_argument('new', help='folder or address of the new one')
    parser.add_argument(
        '--root',
        nargs=1,
        action=AddRoot,
        default={},
        metavar='NAME=FOLDER',
        help='make the videos of FOLDER the library NAME; may be given several times (default: one '
        'library of the folder that all videos lie in)',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='let the new gallery keep frames in 8 bits: half the disk, scores to 3e-4',
    )
    return parser.parse_args()


class OldGallery:
    """A gallery of format version 1: an SQLite table, and arrays in files of 65,536 rows.

    Args:
        folder: its folder.

    Raises:
        GalleryError: if there is none, or it is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / OLD_TABLE).is_file():
            raise GalleryError(f'{folder} holds no gallery of before Lance ({OLD_TABLE}).')
        settings = {name: json.loads(text) for name, text in self._rows('SELECT * FROM settings')}
        if settings.get('format_version') != OLD_VERSION:
            raise GalleryError(
                f'{folder / OLD_TABLE} has the format version {settings.get("format_version")}; '
                f'only version {OLD_VERSION} can be converted. Index the videos again.'
            )
        layout = {
            name: ArrayLayout(old['dtype'], tuple(old['shape']))
            for name, old in ((new, settings['layout'][old]) for new, old in OLD_NAMES.items())
        }
        self.facts = Facts(settings['fingerprint'], layout)
        query = 'SELECT row, path, bytes, mtime_ns FROM videos ORDER BY row'
        self.videos: list[OldVideo] = self._rows(query)
        self.unreadable = self._rows('SELECT path, bytes, mtime_ns, reason FROM unreadable')

    def read(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Read the arrays of rows, [n] ascending."""
        arrays = {}
        for new, old in OLD_NAMES.items():
            parts = [
                self._map(new, old, int(file))[rows[rows // ROWS_PER_FILE == file] % ROWS_PER_FILE]
                for file in np.unique(rows // ROWS_PER_FILE)
            ]
            arrays[new] = np.concatenate(parts)
        return arrays

    def _map(self, new: str, old: str, file: int) -> np.ndarray:
        layout, path = self.facts.layout[new], self.folder / f'{old}-{file:05d}.bin'
        row_bytes = int(np.prod(layout.shape)) * np.dtype(layout.dtype).itemsize
        last = max(row for row, *_ in self.videos if row // ROWS_PER_FILE == file) % ROWS_PER_FILE
        if not path.is_file() or path.stat().st_size < (last + 1) * row_bytes:
            raise GalleryError(f'{path} is missing, or too short for row {last}. {DAMAGED}')
        return np.memmap(path, layout.dtype, 'r', shape=(last + 1, *layout.shape))

    def _rows(self, query: str) -> list[tuple]:
        try:
            path = f'{(self.folder / OLD_TABLE).resolve().as_uri()}?mode=ro'
            with closing(sqlite3.connect(path, uri=True)) as database:
                return database.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            raise GalleryError(
                f'{self.folder / OLD_TABLE} cannot be read: {error}. {DAMAGED}'
            ) from error


def convert(old: OldGallery, new: str, roots: dict[str, str], int8: bool = False) -> Gallery:
    """Copy videos with their features, and the files that cannot be read.

    The old gallery does not say how long videos are: the spans end at 0, which means unknown.

    Args:
        old: the old gallery.
        new: where the new one is made.
        roots: folders of libraries by name.
        int8: whether the new one keeps frames in 8 bits.
    """
    paths = [video[1] for video in old.videos] + [row[0] for row in old.unreadable]
    libraries = _libraries(paths, roots)
    gallery = Gallery.create(new, replace(old.facts, int8=int8), libraries)
    known = gallery.known()
    with GalleryWriter(gallery) as writer:
        for part in _parts(old.videos):
            files = {row: VideoFile(*libraries.locate(path), *more) for row, path, *more in part}
            files = {row: file for row, file in files.items() if known.get(file.key) != file}
            if files:
                arrays = old.read(np.array([*files]))
                writer.add([Span(file, 0.0, 0.0) for file in files.values()], arrays)
        for path, size, mtime_ns, reason in old.unreadable:
            writer.note_unreadable(VideoFile(*libraries.locate(path), size, mtime_ns), reason)
    maintain(gallery)
    return gallery


def _libraries(paths: list[str], roots: dict[str, str]) -> Libraries:
    named = Libraries({name: os.path.abspath(root) for name, root in roots.items()})
    folders = {os.path.dirname(path) for path in paths if named.locate(path) is None}
    return named.joined_by([os.path.commonpath(folders)] if folders else [], [])


def _parts(videos: list[OldVideo]) -> Iterator[list[OldVideo]]:
    with progress_bar(len(videos), 'videos', 'video') as progress:
        for start in range(0, len(videos), ROWS_PER_COMMIT):
            part = videos[start : start + ROWS_PER_COMMIT]
            yield part
            progress.update(len(part))


@stop_with_message(GO_ON)
def main() -> None:
    """Run."""
    args = parse_args()
    gallery = convert(OldGallery(args.old), args.new, args.root, args.int8)
    print(f'The gallery {args.new} holds {len(gallery):,} videos. Libraries:')
    for name, root in gallery.libraries.roots.items():
        print(f'  {name}: {root}')


if __name__ == '__main__':
    main()
