"""The files of a feature cache: written one after another, read through memory maps."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.structures import TextFeatures, VideoFeatures

MANIFEST = 'manifest.json'


class FeatureWriter:
    """Writes arrays row by row; `finish` makes the folder a cache.

    Plain writing, as a full disk is an `OSError` then, while a process that writes to a memory map
    is killed.

    Args:
        root: folder to be made.

    Raises:
        FileExistsError: if it exists.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True)
        self.root = root
        self.arrays: dict[str, dict[str, Any]] = {}
        self._files: dict[str, BinaryIO] = {}

    def append(self, name: str, rows: Tensor) -> None:
        """Append rows to an array.

        Args:
            name: name of the array.
            rows: shape [n, ...]; all but n must be the same in every call.
        """
        values = rows.cpu().numpy()
        if name not in self.arrays:
            self._files[name] = _file(self.root, name).open('wb')
            self.arrays[name] = dict(dtype=str(values.dtype), shape=[0, *values.shape[1:]])
        if self.arrays[name]['shape'][1:] != list(values.shape[1:]):
            raise ValueError(
                f'Rows of {name} have the shape {list(values.shape[1:])}; those before had '
                f'{self.arrays[name]["shape"][1:]}.'
            )
        self.arrays[name]['shape'][0] += len(values)
        self._files[name].write(np.ascontiguousarray(values).data)

    def num_bytes(self, *names: str) -> int:
        """Return the bytes appended to some arrays so far."""
        return sum(_bytes_of(self.arrays[name]) for name in names)

    def flush(self) -> None:
        """Write what was appended so far, so that it can be read.

        Raises:
            OSError: if the disk has no room.
        """
        for file in self._files.values():
            file.flush()

    def read_back(self) -> FeatureStore:
        """Return what was appended so far."""
        self.flush()
        return FeatureStore(self.root, self.arrays)

    def finish(self, fingerprint: Mapping[str, str]) -> None:
        """Bring everything to the disk; the manifest comes last.

        Args:
            fingerprint: what the cache was made of.
        """
        for file in self._files.values():
            _sync(file)
        with (self.root / MANIFEST).open('wb') as file:
            content = dict(fingerprint=dict(fingerprint), arrays=self.arrays)
            file.write(json.dumps(content, indent=1).encode())
            _sync(file)

    def close(self) -> None:
        """Close the files; those of an unfinished cache may lose what was not yet written."""
        for file in self._files.values():
            # Closing writes what is left, which a full disk refuses once more.
            with suppress(OSError):
                file.close()


class FeatureStore:
    """Features on disk, of which single rows are read.

    The N texts are grouped by their videos, in the order of the data set. Padded words are not
    stored, as no similarity reads them; padded frames are, as a pooling may take them into its
    softmax.

    Args:
        root: folder of the files.
        arrays: dtype and shape of each array, by name, as the manifest has them.
    """

    def __init__(self, root: Path, arrays: Mapping[str, Mapping[str, Any]]) -> None:
        self.arrays = map_arrays(root, arrays)
        self.video_index = np.array(self.arrays['video_index'])
        self.texts_of_video = np.array(self.arrays['texts_of_video'])
        self.first_text = np.cumsum(self.texts_of_video) - self.texts_of_video
        self.video_of_text = np.repeat(np.arange(self.num_videos), self.texts_of_video)
        self._num_words = self.arrays['text_mask'].sum(axis=1)
        self._first_word = np.cumsum(self._num_words) - self._num_words

    @classmethod
    def open(cls, root: Path) -> FeatureStore:
        """Open a cache that has no defect."""
        return cls(root, _read_manifest(root)['arrays'])

    @property
    def num_videos(self) -> int:
        """Number M of videos."""
        return len(self.video_index)

    @property
    def num_texts(self) -> int:
        """Number N of texts."""
        return len(self.video_of_text)

    def texts(self, rows: np.ndarray) -> TextFeatures:
        """Read texts; the words of padding are 0.

        Args:
            rows: shape [n], int64.
        """
        mask, counts = self.arrays['text_mask'][rows], self._num_words[rows]
        # Word j of row i is stored at first_word[i] + j; all of them, one row after another.
        stored = np.repeat(self._first_word[rows] - (np.cumsum(counts) - counts), counts)
        stored += np.arange(len(stored))
        words = np.zeros((*mask.shape, self.arrays['words'].shape[1]), self.arrays['words'].dtype)
        words[mask] = self.arrays['words'][stored]
        return TextFeatures(
            words=torch.from_numpy(words), mask=torch.from_numpy(mask), pooled=self.pooled(rows)
        )

    def pooled(self, rows: np.ndarray) -> Tensor:
        """Read the end-of-text features of texts, [n] -> [n, D]."""
        return torch.from_numpy(self.arrays['pooled'][rows])

    @property
    def num_views(self) -> int:
        """Number of draws of the random transforms that there are of each video."""
        return sum(name.startswith('frame_mask') for name in self.arrays)

    def videos(self, rows: np.ndarray, view: int = 0) -> VideoFeatures:
        """Read videos.

        Args:
            rows: shape [n], int64.
            view: number of the draw, below `num_views`.
        """
        suffix = f'_{view}' if view else ''
        return VideoFeatures(
            frames=torch.from_numpy(self.arrays[f'frames{suffix}'][rows]),
            mask=torch.from_numpy(self.arrays[f'frame_mask{suffix}'][rows]),
        )


def map_arrays(root: Path, arrays: Mapping[str, Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Open the files of a `FeatureWriter` as memory maps.

    Args:
        root: folder of the files.
        arrays: dtype and shape of each array, by name, as the writer has them.

    Returns:
        The arrays; what is written into them does not reach the files.
    """
    maps = {
        name: np.memmap(_file(root, name), array['dtype'], mode='c', shape=(*array['shape'],))
        for name, array in arrays.items()
    }
    # Plain views: indexing them copies rows, and nothing of the class memmap goes on living.
    return {name: np.asarray(array) for name, array in maps.items()}


def defect(root: Path, fingerprint: Mapping[str, str]) -> str | None:
    """Say why a folder is not the cache that is wanted.

    Args:
        root: the folder.
        fingerprint: what the cache must be made of.

    Returns:
        The reason, or None if the cache is whole and fits.

    Raises:
        FileExistsError: if the folder holds something else, which must not be replaced.
    """
    if not root.exists():
        return 'there is none yet'
    if not (root / MANIFEST).is_file():
        if root.is_dir() and not any(root.iterdir()):
            return 'there is none yet'
        raise FileExistsError(
            f'{root} exists and is no feature cache (it has no {MANIFEST}). Nothing was changed. '
            'Give FeatureCacheHook another directory, or empty this one.'
        )
    try:
        manifest = _read_manifest(root)
        found, arrays = dict(manifest['fingerprint']), dict(manifest['arrays'])
    except (ValueError, KeyError, TypeError):
        return f'its {MANIFEST} cannot be read'
    changed = [name for name, value in fingerprint.items() if found.get(name) != value]
    if changed:
        return f'it was made of other {", ".join(changed)}'
    for name, array in arrays.items():
        file, wanted = _file(root, name), _bytes_of(array)
        size = file.stat().st_size if file.is_file() else 0
        if size != wanted:
            return f'{file.name} has {size:,} bytes in place of {wanted:,}'
    return None


def _file(root: Path, name: str) -> Path:
    return root / f'{name}.bin'


def _bytes_of(array: Mapping[str, Any]) -> int:
    return int(math.prod(array['shape']) * np.dtype(array['dtype']).itemsize)


def _read_manifest(root: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((root / MANIFEST).read_text(encoding='utf-8'))
    return manifest


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
