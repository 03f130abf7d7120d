"""Videos that can be searched: two Lance tables in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search.candidates import Searchers
from diffusionret_mm.search.errors import GalleryError
from diffusionret_mm.search.libraries import Libraries
from diffusionret_mm.search.schema import (
    FACTS,
    FILES,
    INDEXED,
    SOURCE,
    SPANS,
    SUBTITLES,
    UNREADABLE,
    Facts,
    VideoFile,
    files_schema,
    spans_schema,
)
from diffusionret_mm.search.snapshot import Snapshot
from diffusionret_mm.search.tables import Table, readable

if TYPE_CHECKING:
    import lance

OLD_TABLE = 'gallery.sqlite'
LIBRARY = 'library:'


class Gallery:
    """Features of spans of videos, in a local folder or an object store.

    The table `spans.lance` has a row per span, `files.lance` one per file that was indexed or
    cannot be read. `subtitles.lance` tells what is said in spans, if subtitles were read. Any
    number of processes write (`GalleryWriter`, `SubtitleWriter`) and read at the same time. What is
    read comes from a `Snapshot`, which no writer changes.

    Args:
        folder: a folder, or an address (`s3://BUCKET/PATH`).
        roots: folders of libraries that have moved, by name; for this process alone.
        searchers: who looks through the parts of the table.

    Raises:
        GalleryError: if it holds no gallery, one of another format version, or an index of fewer
            segments than there are searchers.
        ValueError: if there is no library of such a name.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        roots: Mapping[str, str | os.PathLike[str]] | None = None,
        searchers: Searchers | None = None,
    ) -> None:
        self.folder = os.fspath(folder)
        self.spans, self.files, self.subtitles = _tables(self.folder)
        if not self.exists(folder):
            raise GalleryError(
                f'{self.folder} holds no gallery; make one with tools/index.py or '
                'TextVideoInferencer.index.'
            )
        dataset = self.spans.open()
        self.facts = _facts(dataset, self.folder)
        self._moved = dict(roots or {})
        said = self.subtitles.open() if self.subtitles.exists() else None
        self._searchers = searchers or Searchers()
        self._snapshot = self._snapshot_of(dataset, said)
        self._refuse_idle_searchers()

    @classmethod
    def create(
        cls, folder: str | os.PathLike[str], facts: Facts, libraries: Libraries | None = None
    ) -> Gallery:
        """Make an empty gallery, or open that which another process has just made.

        Args:
            folder: a folder that is empty or does not exist, or an address.
            facts: what is known of the model; the layout must have `pooled` [D] float32.
            libraries: libraries of the videos.

        Raises:
            GalleryError: if the folder holds anything else, or a gallery of another model or other
                moments.
        """
        folder = os.fspath(folder)
        spans, files, _ = _tables(folder)
        if not cls.exists(folder):
            _refuse_full_folder(folder)
            files.create(files_schema())
            spans.create(spans_schema(facts))
        gallery = cls(folder)
        gallery.check_model(facts.fingerprint)
        gallery.check_moments(facts.moments)
        gallery.check_precision(facts.int8)
        gallery.add_libraries(libraries or Libraries({}))
        return gallery

    @staticmethod
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Tell whether there is a gallery.

        Raises:
            GalleryError: if there is one of before Lance.
        """
        folder = os.fspath(folder)
        if os.path.isfile(os.path.join(folder, OLD_TABLE)):
            raise GalleryError(
                f'{folder} holds a gallery of an earlier version; convert it by '
                f'`python tools/convert_gallery.py {folder} NEW`, or index the videos into another '
                'folder.'
            )
        return _tables(folder)[0].exists()

    def __len__(self) -> int:
        """Return the number of videos."""
        return self._count_files(f"state = '{INDEXED}'")

    @property
    def libraries(self) -> Libraries:
        """The libraries, those that have moved in their places."""
        return self._snapshot.libraries

    def latest(self) -> Snapshot:
        """Return the latest version; each search reads from one."""
        known = self._snapshot
        with readable(self.folder):
            dataset = _latest(known.dataset)
            said = None if known.subtitles is None else _latest(known.subtitles)
        if dataset is not known.dataset or said is not known.subtitles:
            self._snapshot = self._snapshot_of(dataset, said)
        return self._snapshot

    def known(self) -> dict[tuple[str, str], VideoFile]:
        """All files that were indexed or found unreadable, by library and path."""
        columns = ['library', 'path', 'bytes', 'mtime_ns']
        files = (VideoFile(*row) for row in self._file_rows(columns))
        return {file.key: file for file in files}

    def subtitle_sources(self) -> dict[tuple[str, str], str]:
        """What the lines of videos were read from, by library and path."""
        if not self.subtitles.exists():
            return {}
        columns = ['library', 'path', SOURCE]
        with readable(self.subtitles.place):
            rows = self.subtitles.open().to_table(columns=columns)
        library, path, source = (rows[name].to_pylist() for name in columns)
        return dict(zip(zip(library, path, strict=True), source, strict=True))

    def paths(self) -> list[str]:
        """Absolute paths of the videos, sorted."""
        rows = self._file_rows(['library', 'path'], f"state = '{INDEXED}'")
        return sorted(self.libraries.path_of(*row) for row in rows)

    def unreadable(self) -> dict[str, str]:
        """Why files cannot be read, by absolute path."""
        rows = self._file_rows(['library', 'path', 'reason'], f"state = '{UNREADABLE}'")
        return {self.libraries.path_of(*row[:2]): row[2] for row in sorted(rows)}

    def check_model(self, fingerprint: Mapping[str, str]) -> None:
        """Refuse a model that would have made other features.

        Args:
            fingerprint: that of the model, by parts.

        Raises:
            GalleryError: if it differs; it says in which parts.
        """
        known = self.facts.fingerprint
        # Galleries of earlier versions lack the facts of the backbone's passport.
        changed = [name for name, value in fingerprint.items() if known.get(name, value) != value]
        if changed:
            raise GalleryError(
                f'The gallery {self.folder} was made by a model with other {", ".join(changed)}; '
                'its features mean nothing to this one. Give the config and checkpoint that it was '
                'made with, or index the videos with this model into another folder.'
            )

    def check_moments(self, moments: Moments) -> None:
        """Refuse spans of another kind.

        Raises:
            GalleryError: if the gallery's videos are cut otherwise.
        """
        known = self.facts.moments
        if moments != known:
            raise GalleryError(
                f'The gallery {self.folder} was made with moments {known}, not {moments}: leave '
                'the moments out to go on with its own, or index the videos into another folder.'
            )

    def check_precision(self, int8: bool) -> None:
        """Refuse to keep frames in 8 bits where half precision was chosen.

        Args:
            int8: whether they are to be kept in 8 bits.

        Raises:
            GalleryError: if the gallery keeps them in half precision.
        """
        if int8 and not self.facts.int8:
            raise GalleryError(
                f'The gallery {self.folder} keeps frames in half precision. Leave int8 (--int8) '
                'out, or index the videos into a new folder.'
            )

    def add_libraries(self, libraries: Libraries) -> None:
        """Keep the roots of libraries that the gallery does not know yet, or that have moved.

        Raises:
            GalleryError: if another process has just given a name to another folder.
        """
        stored = _roots(self.files.open())
        taken = [
            name
            for name, root in libraries.roots.items()
            if name not in self.libraries.roots and stored.get(name, root) != root
        ]
        if taken:
            raise GalleryError(
                f'Another process has just added a library {taken[0]!r} to {self.folder}, of '
                'another folder. Run the same command again.'
            )
        new = {name: root for name, root in libraries.roots.items() if stored.get(name) != root}
        if new:
            self.files.update_metadata({f'{LIBRARY}{name}': root for name, root in new.items()})
        self._snapshot = self._snapshot_of(self._snapshot.dataset, self._snapshot.subtitles)

    def _snapshot_of(
        self, dataset: lance.LanceDataset, subtitles: lance.LanceDataset | None
    ) -> Snapshot:
        libraries = Libraries(_roots(self.files.open())).moved(self._moved)
        return Snapshot(dataset, libraries, self.facts, self._searchers, subtitles)

    def _refuse_idle_searchers(self) -> None:
        if self._searchers.count == 1:
            return
        segments = [part for part in self._snapshot.parts if part.segment is not None]
        if len(segments) < self._searchers.count:
            raise GalleryError(
                f'The index of the gallery {self.folder} has {len(segments)} segments, too few for '
                f'{self._searchers.count} processes; start at most {max(1, len(segments))}.'
            )

    def _count_files(self, where: str) -> int:
        with readable(self.files.place):
            return self.files.open().count_rows(where)

    def _file_rows(self, columns: Sequence[str], where: str | None = None) -> list[tuple]:
        with readable(self.files.place):
            rows = self.files.open().to_table(columns=list(columns), filter=where)
        return list(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def facts_of(folder: str | os.PathLike[str]) -> Facts | None:
    """Return what a gallery holds about its model, or None if there is no gallery yet.

    Raises:
        GalleryError: if it cannot be read.
    """
    return Gallery(folder).facts if Gallery.exists(folder) else None


def spans_of(folder: str | os.PathLike[str]) -> Table:
    """Return the table of spans of a gallery; there need be none."""
    return _tables(os.fspath(folder))[0]


def _tables(folder: str) -> tuple[Table, Table, Table]:
    """Return the tables of spans, of files and of subtitles."""
    root = folder.rstrip('/')
    return Table(f'{root}/{SPANS}'), Table(f'{root}/{FILES}'), Table(f'{root}/{SUBTITLES}')


def _latest(dataset: lance.LanceDataset) -> lance.LanceDataset:
    """Return the latest version of a table; it shares what is cached of the one that is known."""
    version = dataset.latest_version
    return dataset if version == dataset.version else dataset.checkout_version(version)


def _facts(dataset: lance.LanceDataset, folder: str) -> Facts:
    text = (dataset.schema.metadata or {}).get(FACTS.encode())
    if text is None:
        raise GalleryError(
            f'{folder} holds a Lance table of another program; choose another folder.'
        )
    try:
        return Facts.from_json(text.decode())
    except ValueError as error:
        raise GalleryError(
            f'The gallery {folder} has {error}; index the videos again into a new folder.'
        ) from error


def _roots(dataset: lance.LanceDataset) -> dict[str, str]:
    found = dataset.metadata.items()
    return {name[len(LIBRARY) :]: root for name, root in found if name.startswith(LIBRARY)}


def _refuse_full_folder(folder: str) -> None:
    """Refuse a local folder that holds anything but what a killed `create` left."""
    if '://' in folder or not os.path.exists(folder):
        return
    found = [name for name in os.listdir(folder) if name not in (SPANS, FILES)]
    if any(not name.startswith('.') or not name.endswith('.lock') for name in found):
        raise GalleryError(
            f'{folder} exists and holds no gallery. Nothing was changed; choose another folder.'
        )
