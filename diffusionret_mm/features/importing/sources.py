"""Which reader reads a source, and where the two sides of a source with both are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diffusionret_mm.features.importing.arrays import SUFFIXES, items_of, open_arrays, side_of
from diffusionret_mm.features.importing.clip_retrieval import embedding_shards, is_embedding_folder
from diffusionret_mm.features.importing.items import SIDES, ImportFeaturesError, Item, Names
from diffusionret_mm.features.importing.tables import (
    is_companion,
    npy_folder,
    npy_rows,
    parquet_rows,
    tar_samples,
)

SHARDS = ('.tar', '.parquet')
KNOWN = ('.npy', *SUFFIXES, *SHARDS)
EMBEDDINGS = dict(videos='img_emb', texts='text_emb')


@dataclass
class Sources:
    """Where features come from.

    Args:
        videos: files and folders with features of videos.
        texts: files and folders with features of texts.
        both: files with the entries 'videos' and 'texts'.
        pairs: file that says which text belongs to which video; None: the ids say it.
    """

    videos: list[Path] = field(default_factory=list)
    texts: list[Path] = field(default_factory=list)
    both: list[Path] = field(default_factory=list)
    pairs: Path | None = None

    def add(self, path: Path) -> None:
        """Add a source with both sides.

        A folder has entries whose names begin with `videos` and `texts`, and may have one that
        begins with `pairs`; or it is one of clip-retrieval (`img_emb`, `text_emb`, `metadata`). A
        file is of one of the formats of `arrays`.

        Raises:
            FileNotFoundError: if it does not exist.
            ImportFeaturesError: if it is neither.
        """
        if not path.exists():
            raise FileNotFoundError(f'There is no file or folder {path}.')
        if path.is_dir():
            self._add_folder(path)
        elif path.suffix in SUFFIXES:
            self.both.append(path)
        else:
            raise ImportFeaturesError(
                f'{path} holds one side; say which by --videos {path.name} or --texts {path.name}.'
            )

    def _add_folder(self, folder: Path) -> None:
        found = {
            side: [*sorted(folder.glob(f'{side}*')), *folder.glob(EMBEDDINGS[side])]
            for side in SIDES
        }
        for side, paths in found.items():
            sources = [
                path
                for path in paths
                if path.is_dir() or (path.suffix in KNOWN and not is_companion(path))
            ]
            if not sources:
                raise ImportFeaturesError(
                    f'{folder} has no file or folder whose name begins with {side!r} and no '
                    f'{EMBEDDINGS[side]}; give its parts by --videos and --texts.'
                )
            self.of_side(side).extend(sources)
        pairs = sorted(folder.glob('pairs*'))
        if pairs and self.pairs is None:
            self.pairs = pairs[0]

    def of_side(self, side: str) -> list[Path]:
        """Return the sources of one side alone."""
        return dict(videos=self.videos, texts=self.texts)[side]

    def items(self, names: Names) -> Iterator[Item]:
        """Yield the items of one side, source by source.

        Args:
            names: the side, and what its fields are called.

        Raises:
            ImportFeaturesError: if a source cannot be read, or there is none.
        """
        paths = self.of_side(names.side)
        if not (paths or self.both):
            raise ImportFeaturesError(f'There are no {names.side}; give them by --{names.side}.')
        for path in paths:
            yield from read_items(path, names)
        for path in self.both:
            with open_arrays(path) as arrays:
                own = side_of(arrays, names.side)
                if own is None:
                    raise ImportFeaturesError(
                        f'{path} has no entry {names.side!r}, and none that begins with '
                        f"'{names.side}/'; a file of one side is given by --videos or --texts."
                    )
                yield from items_of(own, names, f'{path}, {names.side}')


def read_items(path: Path, names: Names) -> Iterator[Item]:
    """Yield the items of a source of one side.

    Args:
        path: file, or folder: .npy files (one for each item), shards (.tar, .parquet), or
            embeddings of clip-retrieval.
        names: the side, and what its fields are called.

    Raises:
        FileNotFoundError: if it does not exist.
        ImportFeaturesError: if it cannot be read.
    """
    if not path.exists():
        raise FileNotFoundError(f'There is no file or folder {path}.')
    if path.is_dir():
        yield from _read_folder(path, names)
    elif path.suffix == '.npy':
        yield from npy_rows(path)
    elif path.suffix == '.parquet':
        yield from parquet_rows(path, names)
    elif path.suffix == '.tar':
        yield from tar_samples(path, names)
    elif path.suffix in SUFFIXES:
        with open_arrays(path) as arrays:
            yield from items_of(arrays, names, str(path))
    else:
        raise ImportFeaturesError(
            f'{path} has the extension {path.suffix!r}; those that can be read are '
            f'{", ".join(KNOWN)}.'
        )


def _read_folder(folder: Path, names: Names) -> Iterator[Item]:
    shards = sorted(path for path in folder.rglob('*') if path.suffix in SHARDS)
    if is_embedding_folder(folder):
        yield from embedding_shards(folder, names)
    elif shards:
        for shard in shards:
            yield from read_items(shard, names)
    elif next(folder.rglob('*.npy'), None) is not None:
        yield from npy_folder(folder)
    else:
        raise ImportFeaturesError(f'{folder} has no .npy file, no .tar and no .parquet.')
