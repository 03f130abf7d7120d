"""Videos that can be searched: one folder, features of a model, and a table."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from diffusionret_mm.search.catalogue import Catalogue
from diffusionret_mm.search.errors import GalleryError
from diffusionret_mm.search.first_step import NO_ROW, POOLED, FaissFirstStep, FirstStep
from diffusionret_mm.search.qdrant import QdrantFirstStep
from diffusionret_mm.search.segments import ArrayLayout, SegmentedArrays
from diffusionret_mm.storage.locks import lock_file_of

TABLE = 'gallery.sqlite'


class Gallery:
    """Features of videos on disk.

    The folder holds the arrays in files that only grow (`SegmentedArrays`), a table
    (`gallery.sqlite`) and, of a large gallery, an index of the pooled vectors. Opening reads a few
    numbers, however many videos there are.

    One process writes (`writing_gallery`), any number read meanwhile: what a writer adds is seen by
    the next search, batch by batch, each whole or not at all. A killed writer loses the batch that
    it was at.

    Args:
        folder: the folder of a gallery; `create` makes one.

    Raises:
        GalleryError: if it holds no gallery.
        ValueError: if the gallery is of another format version.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.catalogue = Catalogue(self.folder / TABLE)
        if not self.catalogue.exists():
            raise GalleryError(
                f'{self.folder} holds no gallery; make one with tools/index.py or '
                'TextVideoInferencer.index.'
            )
        settings = self.catalogue.settings()
        self.fingerprint: dict[str, str] = settings['fingerprint']
        self.layout = {
            name: ArrayLayout(layout['dtype'], tuple(layout['shape']))
            for name, layout in settings['layout'].items()
        }
        self.arrays = SegmentedArrays(self.folder, self.layout)
        self.qdrant: dict[str, str] | None = settings['qdrant']
        self._first_step: FirstStep | None = None

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        fingerprint: Mapping[str, str],
        layout: Mapping[str, ArrayLayout],
        qdrant: str | None = None,
    ) -> Gallery:
        """Make an empty gallery.

        Args:
            folder: a folder that is empty or does not exist.
            fingerprint: what the features depend on, by parts.
            layout: layout of each array; `pooled` [D] float32 must be one.
            qdrant: where the pooled vectors are searched instead of here; see `QdrantFirstStep`.

        Raises:
            GalleryError: if the folder holds anything, a gallery included.
        """
        folder = Path(folder)
        catalogue = Catalogue(folder / TABLE)
        if catalogue.exists():
            raise GalleryError(f'{folder} holds a gallery already.')
        # A writer's lock, and what a killed `create` left.
        leftovers = (lock_file_of(folder / TABLE).name, TABLE, f'{TABLE}-journal')
        if folder.exists() and any(file.name not in leftovers for file in folder.iterdir()):
            raise GalleryError(
                f'{folder} exists and holds no gallery. Nothing was changed; choose another folder.'
            )
        folder.mkdir(parents=True, exist_ok=True)
        collection = f'diffusionret_mm-{uuid.uuid4().hex[:12]}'
        catalogue.create(
            dict(
                fingerprint=dict(fingerprint),
                layout={name: asdict(value) for name, value in layout.items()},
                qdrant=dict(location=qdrant, collection=collection) if qdrant else None,
            )
        )
        return cls(folder)

    @staticmethod
    def exists(folder: str | os.PathLike[str]) -> bool:
        """Tell whether a folder holds a gallery."""
        return Catalogue(Path(folder) / TABLE).exists()

    def __len__(self) -> int:
        """Return the number of videos."""
        return self.catalogue.state().num_videos

    @property
    def first_step(self) -> FirstStep:
        """What finds candidates; opened when it is first wanted."""
        if self._first_step is None:
            if self.qdrant is None:
                self._first_step = FaissFirstStep(self.folder, self.arrays, self.catalogue)
            else:
                (width,) = self.layout[POOLED].shape
                self._first_step = QdrantFirstStep(**self.qdrant, width=width)
        return self._first_step

    def check_model(self, fingerprint: Mapping[str, str]) -> None:
        """Refuse a model that would have made other features.

        Args:
            fingerprint: that of the model, by parts.

        Raises:
            GalleryError: if it differs; it says in which parts.
        """
        # Galleries of earlier versions lack the facts of the backbone's passport.
        changed = [
            name
            for name, value in fingerprint.items()
            if self.fingerprint.get(name, value) != value
        ]
        if changed:
            raise GalleryError(
                f'The gallery {self.folder} was made by a model with other {", ".join(changed)}; '
                'its features mean nothing to this one. Give the config and checkpoint that it was '
                'made with, or index the videos with this model into another folder.'
            )

    def candidates(self, queries: np.ndarray, count: int) -> list[tuple[np.ndarray, list[str]]]:
        """Find the videos whose pooled vectors have the largest inner products with the queries'.

        Args:
            queries: shape [q, D], float32.
            count: videos wanted per query, at most.

        Returns:
            Of each query the rows [n] int64 and paths of the videos, in the order of their paths,
            which does not depend on how they were indexed.
        """
        found, _ = self.first_step.search(np.ascontiguousarray(queries, np.float32), count)
        known = self.catalogue.paths(np.unique(found[found != NO_ROW]).tolist())
        results = []
        for rows in found.tolist():
            videos = sorted((known[row], row) for row in rows if row in known)
            results.append(
                (np.array([row for _, row in videos], np.int64), [path for path, _ in videos])
            )
        return results
