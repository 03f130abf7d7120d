"""Features of a split that live on the disk, for splits that the memory cannot hold."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, get_rank
from torch import Tensor

from diffusionret_mm.features.encoding import FeatureCollector
from diffusionret_mm.features.store import FeatureWriter, map_arrays
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Rows that are copied at a time when the files of the processes are joined.
CHUNK = 1024

Part = tuple[Path, Mapping[str, Mapping[str, Any]]]


class DiskCollector(FeatureCollector):
    """A `FeatureCollector` that keeps features in files and returns memory maps of them.

    All processes must see the folder. Files of an earlier evaluation in it are replaced.

    Args:
        directory: folder of the files.
        dtype: dtype of the features that are kept.

    Raises:
        OSError: from `add` and `join`, if the disk has no room.
    """

    def __init__(self, directory: Path, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(dtype)
        self.directory = directory
        self._writer = _new_writer(directory / f'part_{get_rank()}')

    def _keep(self, texts: TextFeatures, videos: VideoFeatures) -> None:
        for kind, features in (('text', texts), ('video', videos)):
            for name, value in features.tensors().items():
                self._writer.append(f'{kind}_{name}', value)

    def _select(self, text_rows: Tensor, video_rows: Tensor) -> tuple[TextFeatures, VideoFeatures]:
        self._writer.flush()
        parts = all_gather_object((self._writer.root, self._writer.arrays))
        joined = self.directory / 'joined'
        arrays = [_join(joined, parts, text_rows, video_rows) if get_rank() == 0 else None]
        maps = map_arrays(joined, all_gather_object(arrays)[0][0])
        barrier()
        self._writer.close()
        shutil.rmtree(self._writer.root)
        return (
            TextFeatures(**_tensors(maps, 'text_')),
            VideoFeatures(**_tensors(maps, 'video_')),
        )


def _join(
    target: Path, parts: Sequence[Part], text_rows: Tensor, video_rows: Tensor
) -> dict[str, dict[str, Any]]:
    """Write rows of the processes' files into one file per array; return what it holds."""
    writer = _new_writer(target)
    maps = [map_arrays(root, arrays) for root, arrays in parts]
    for name in maps[0]:
        rows = text_rows if name.startswith('text_') else video_rows
        sources = [each[name] for each in maps]
        for chunk in rows.split(CHUNK):
            writer.append(name, torch.from_numpy(_take(sources, chunk.numpy())))
    writer.flush()
    writer.close()
    return writer.arrays


def _take(sources: Sequence[np.ndarray], rows: np.ndarray) -> np.ndarray:
    """Rows of several arrays, numbered through one array after another."""
    taken = np.empty((len(rows), *sources[0].shape[1:]), sources[0].dtype)
    start = 0
    for source in sources:
        inside = (rows >= start) & (rows < start + len(source))
        taken[inside] = source[rows[inside] - start]
        start += len(source)
    return taken


def _new_writer(folder: Path) -> FeatureWriter:
    shutil.rmtree(folder, ignore_errors=True)
    return FeatureWriter(folder)


def _tensors(maps: Mapping[str, np.ndarray], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): torch.from_numpy(value)
        for name, value in maps.items()
        if name.startswith(prefix)
    }
