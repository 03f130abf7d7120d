"""The table of a gallery: which rows are which videos, and what is valid."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffusionret_mm.search.errors import DAMAGED, GalleryError

# To be raised when galleries of before can no longer be read.
FORMAT_VERSION = 1
SECONDS_TO_WAIT = 60
# SQLite takes a limited number of parameters a statement.
PARAMETERS = 500
HINTS = 'Is its folder writable, is there room on its disk, and was all of it copied?'

SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE state (
    version INTEGER NOT NULL, num_videos INTEGER NOT NULL, next_row INTEGER NOT NULL,
    index_file TEXT, index_rows INTEGER NOT NULL
);
CREATE TABLE videos (
    row INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
);
CREATE TABLE removed_rows (row INTEGER PRIMARY KEY);
CREATE TABLE unreadable (
    path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, reason TEXT NOT NULL
);
INSERT INTO state VALUES (0, 0, 0, NULL, 0);
"""


@dataclass(frozen=True)
class VideoFile:
    """A file as it was when it was indexed.

    Args:
        path: absolute path.
        bytes: size.
        mtime_ns: time of the last change.
    """

    path: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class State:
    """What is valid now.

    Args:
        version: number of changes so far.
        num_videos: number of videos.
        next_row: row that the next video gets; rows are never given twice.
        index_file: name of the file of the vector index, if there is one.
        index_rows: rows below this one are in the index.
    """

    version: int
    num_videos: int
    next_row: int
    index_file: str | None
    index_rows: int


class Catalogue:
    """An SQLite file. Each method is one transaction: it is seen whole or not at all.

    A connection is opened for each, so that threads and forked processes may share an object.

    Args:
        file: the file.

    Raises:
        GalleryError: by all methods, if the file cannot be used.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self, settings: Mapping[str, Any]) -> None:
        """Make the tables.

        Args:
            settings: what never changes, values that JSON can hold.
        """
        values = dict(settings, format_version=FORMAT_VERSION)
        with self._transaction() as database:
            for statement in SCHEMA.split(';'):
                database.execute(statement)
            database.executemany(
                'INSERT INTO settings VALUES (?, ?)',
                [(name, json.dumps(value)) for name, value in values.items()],
            )

    def exists(self) -> bool:
        """Whether the tables are there; a killed `create` leaves none."""
        if not self.file.is_file():
            return False
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'state'"
        return bool(self._rows(query)[0][0])

    def settings(self) -> dict[str, Any]:
        """Read the settings.

        Raises:
            ValueError: if the gallery is of another format version.
        """
        found = {name: json.loads(value) for name, value in self._rows('SELECT * FROM settings')}
        if found['format_version'] != FORMAT_VERSION:
            raise ValueError(
                f'{self.file} has the format version {found["format_version"]}, this program reads '
                f'{FORMAT_VERSION}; index the videos again into a new folder.'
            )
        return found

    def state(self) -> State:
        """Read what is valid now."""
        return State(*self._rows('SELECT * FROM state')[0])

    def add(self, videos: Sequence[VideoFile]) -> list[int]:
        """Enter videos at the rows from `next_row` on; those of the same paths are replaced.

        Returns:
            Rows that were freed.
        """
        with self._transaction() as database:
            freed = _forget(database, [video.path for video in videos])
            (first,) = database.execute('SELECT next_row FROM state').fetchone()
            rows = [(first + i, *astuple(video)) for i, video in enumerate(videos)]
            database.executemany('INSERT INTO videos VALUES (?, ?, ?, ?)', rows)
            _advance(database, added=len(rows), freed=len(freed), next_row=first + len(rows))
        return freed

    def remove(self, paths: Sequence[str]) -> list[int]:
        """Take videos out.

        Returns:
            Rows that were freed; paths that are not there have none.
        """
        with self._transaction() as database:
            freed = _forget(database, paths)
            _advance(database, added=0, freed=len(freed), next_row=None)
        return freed

    def note_unreadable(self, video: VideoFile, reason: str) -> list[int]:
        """Remember a file that cannot be read; what was indexed of it before is taken out.

        Returns:
            Rows that were freed.
        """
        with self._transaction() as database:
            freed = _forget(database, [video.path])
            row = (*astuple(video), reason)
            database.execute('INSERT INTO unreadable VALUES (?, ?, ?, ?)', row)
            _advance(database, added=0, freed=len(freed), next_row=None)
        return freed

    def set_index(self, file: str, rows: int) -> None:
        """Make a file the index of the rows below `rows`, removed ones left out."""
        with self._transaction() as database:
            database.execute('UPDATE state SET index_file = ?, index_rows = ?', (file, rows))
            database.execute('DELETE FROM removed_rows WHERE row < ?', (rows,))
            _advance(database, added=0, freed=0, next_row=None)

    def removed_rows(self) -> np.ndarray:
        """Rows that hold no video but are in the index or behind it, ascending, int64."""
        rows = self._rows('SELECT row FROM removed_rows ORDER BY row')
        return np.array([row for (row,) in rows], dtype=np.int64)

    def paths(self, rows: Iterable[int]) -> dict[int, str]:
        """Paths of the videos by row; rows without a video are left out."""
        found = self._in_parts('SELECT row, path FROM videos WHERE row IN ({})', list(rows))
        return dict(found)

    def row_of(self, path: str) -> int | None:
        """Row of a video, or None if it is not in the gallery."""
        found = self._rows('SELECT row FROM videos WHERE path = ?', path)
        return found[0][0] if found else None

    def known(self) -> dict[str, VideoFile]:
        """All files that were indexed or found unreadable, by path."""
        columns = 'path, bytes, mtime_ns'
        query = f'SELECT {columns} FROM videos UNION ALL SELECT {columns} FROM unreadable'
        return {row[0]: VideoFile(*row) for row in self._rows(query)}

    def all_paths(self, limit: int = -1) -> list[str]:
        """Paths of the videos in the order of their rows; the first `limit` if it is not -1."""
        return [path for (path,) in self._rows('SELECT path FROM videos LIMIT ?', limit)]

    def unreadable(self) -> dict[str, str]:
        """Reasons by path."""
        return dict(self._rows('SELECT path, reason FROM unreadable ORDER BY path'))

    def _rows(self, query: str, *parameters: Any) -> list[tuple]:
        with self._connection() as database:
            return database.execute(query, parameters).fetchall()

    def _in_parts(self, query: str, values: Sequence[Any]) -> list[tuple]:
        with self._connection() as database:
            return [row for part in _select_in(database, query, values) for row in part]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        database = None
        try:
            database = sqlite3.connect(self.file, timeout=SECONDS_TO_WAIT, isolation_level=None)
            yield database
        except sqlite3.IntegrityError:  # a mistake of the caller
            raise
        except sqlite3.OperationalError as error:  # locked, read-only, or a full disk
            raise GalleryError(f'{self.file} cannot be used: {error}. {HINTS}') from error
        except sqlite3.DatabaseError as error:
            raise GalleryError(f'{self.file} cannot be read: {error}. {DAMAGED}') from error
        finally:
            if database is not None:
                database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as database:
            database.execute('BEGIN IMMEDIATE')
            try:
                yield database
            except BaseException:
                database.execute('ROLLBACK')
                raise
            database.execute('COMMIT')


def _select_in(
    database: sqlite3.Connection, query: str, values: Sequence[Any]
) -> Iterator[list[tuple]]:
    """Run a query with `IN ({})` over values of any number."""
    for start in range(0, len(values), PARAMETERS):
        part = values[start : start + PARAMETERS]
        marks = ', '.join('?' * len(part))
        yield database.execute(query.format(marks), part).fetchall()


def _forget(database: sqlite3.Connection, paths: Sequence[str]) -> list[int]:
    """Delete what is known of files; return the rows that they had."""
    query = 'SELECT row FROM videos WHERE path IN ({})'
    freed = [row for part in _select_in(database, query, paths) for (row,) in part]
    marks = [(path,) for path in paths]
    database.executemany('DELETE FROM videos WHERE path = ?', marks)
    database.executemany('DELETE FROM unreadable WHERE path = ?', marks)
    database.executemany('INSERT INTO removed_rows VALUES (?)', [(row,) for row in freed])
    return freed


def _advance(database: sqlite3.Connection, *, added: int, freed: int, next_row: int | None) -> None:
    database.execute(
        'UPDATE state SET version = version + 1, num_videos = num_videos + ?, '
        'next_row = coalesce(?, next_row)',
        (added - freed, next_row),
    )
