"""The items of one side on disk, in the order in which they come, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from diffusionret_mm.features.importing.items import ImportFeaturesError, Item
from diffusionret_mm.features.store import FeatureWriter, map_arrays

POOLED_RULES = ('first', 'last', 'mean')


class Spool:
    """Writes items one after another, and gives those that are wanted.

    Items that are not finite or have another width than the first are counted, and not kept.

    Args:
        folder: folder to be made for them.
        side: 'videos' or 'texts'.
        pooled: what the one feature of a text of several words is, if its source has none: that of
            the 'first' or 'last' real word, or their 'mean'; None: it must have one.
    """

    def __init__(self, folder: Path, side: str, pooled: str | None = None) -> None:
        self.side = side
        self.width: int | None = None
        self.row_of: dict[str, int] = {}
        self.captions: list[str | None] = []
        self.not_finite: list[str] = []
        self.other_width: list[str] = []
        self.zero: list[str] = []
        self.seen: dict[str, None] = {}  # in order
        self._pooled = pooled
        self._writer = FeatureWriter(folder)
        self._lengths: list[int] = []

    def add(self, item: Item) -> None:
        """Keep an item, or count what is wrong with it.

        Raises:
            ImportFeaturesError: if its id was there before.
            OSError: if the disk has no room.
        """
        if item.key in self.seen:
            raise ImportFeaturesError(
                f'{item.where}: there are features of {item.key!r} already; an id has one.'
            )
        self.seen[item.key] = None
        self.width = self.width or item.rows.shape[1]
        if item.rows.shape[1] != self.width:
            self.other_width.append(
                f'{item.where} has the width {item.rows.shape[1]}, the first one {self.width}'
            )
        elif not self._is_finite(item):
            self.not_finite.append(item.where)
        else:
            self._keep(item)

    def close(self) -> None:
        """Close the files."""
        self._writer.close()

    def open(self) -> Kept:
        """Return what was kept."""
        self._writer.flush()
        return Kept(map_arrays(self._writer.root, self._writer.arrays), np.array(self._lengths))

    def _is_finite(self, item: Item) -> bool:
        """Whether it is; what stands in padded words is never read, in padded frames it may be."""
        read = item.rows if self.side == 'videos' else item.rows[item.mask]
        return bool(np.isfinite(read).all()) and (
            item.pooled is None or bool(np.isfinite(item.pooled).all())
        )

    def _keep(self, item: Item) -> None:
        if not (item.rows[item.mask].any(axis=1)).all():
            self.zero.append(item.where)
        self.row_of[item.key] = len(self._lengths)
        self.captions.append(item.caption)
        self._lengths.append(len(item.rows))
        self._writer.append('rows', torch.from_numpy(item.rows))
        self._writer.append('mask', torch.from_numpy(item.mask))
        if self.side == 'texts':
            self._writer.append('pooled', torch.from_numpy(self._pool(item)[None]))

    def _pool(self, item: Item) -> np.ndarray:
        if item.pooled is not None:
            return item.pooled
        words = item.rows[item.mask]
        if self._pooled is None:
            raise ImportFeaturesError(
                f'{item.where} has {len(item.rows)} words and no feature of the whole text, which '
                "generators read; give an array 'pooled', or say what it is by --pooled "
                f'{"|".join(POOLED_RULES)}.'
            )
        rules: dict[str, np.ndarray] = dict(first=words[0], last=words[-1], mean=words.mean(axis=0))
        return rules[self._pooled]


class Kept:
    """Items on disk.

    Args:
        arrays: `rows` [all, D] and `mask` [all] of one item after another, and `pooled` [n, D].
        lengths: rows of each item, [n].
    """

    def __init__(self, arrays: dict[str, np.ndarray], lengths: np.ndarray) -> None:
        self.arrays = arrays
        self.lengths = lengths
        self.starts = np.cumsum(lengths) - lengths

    def padded(self, items: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Read items, padded by zeros.

        Args:
            items: numbers of n items.
            length: rows of each in the result.

        Returns:
            Features [n, length, D] and mask [n, length].
        """
        rows = self.arrays['rows']
        features = np.zeros((len(items), length, rows.shape[1]), np.float32)
        mask = np.zeros((len(items), length), bool)
        for place, item in enumerate(items):
            own = slice(self.starts[item], self.starts[item] + self.lengths[item])
            features[place, : self.lengths[item]] = rows[own]
            mask[place, : self.lengths[item]] = self.arrays['mask'][own]
        return features, mask
