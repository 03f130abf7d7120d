"""What every source of features gives: one video or text after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

SIDES = ('videos', 'texts')
# What a source may hold of each side, and what it is called unless `--names` says otherwise.
FIELDS = ('features', 'ids', 'mask', 'pooled', 'captions')
NUMBERS = 'fiu'  # kinds of dtypes


class ImportFeaturesError(ValueError):
    """Features that cannot be imported; it names file and key."""


@dataclass(frozen=True)
class Item:
    """Features of a video or a text.

    Args:
        key: its id.
        rows: frames or words, [L, D], float32.
        mask: true for real ones, [L], bool.
        pooled: one feature for all of it, [D], float32; None if there is none.
        caption: the text itself, if it is known.
        where: file and key, for messages.
    """

    key: str
    rows: np.ndarray
    mask: np.ndarray
    pooled: np.ndarray | None
    caption: str | None
    where: str


@dataclass(frozen=True)
class Names:
    """What the fields of a side are called in its source.

    Args:
        side: 'videos' or 'texts'.
        given: names by field, or by 'SIDE.FIELD' for one side alone.
    """

    side: str
    given: dict[str, str]

    def of(self, field: str) -> str:
        """Return the name of a field, one of `FIELDS`."""
        return self.given.get(f'{self.side}.{field}', self.given.get(field, field))


def make_item(
    key: str,
    features: Any,
    where: str,
    mask: Any = None,
    pooled: Any = None,
    caption: Any = None,
) -> Item:
    """Bring what a source holds of a video or text into the one form.

    Args:
        key: its id.
        features: [D] or [L, D], an array or tensor of numbers.
        where: file and key, for messages.
        mask: [L], bool or 0 and 1; None: all rows are real.
        pooled: [D].
        caption: the text itself.

    Raises:
        ImportFeaturesError: if the shapes do not belong together.
    """
    rows = to_numbers(features, where)
    if rows.ndim not in (1, 2) or 0 in rows.shape:
        raise ImportFeaturesError(
            f'{where}: features have the shape {list(rows.shape)}; [D] or [L, D] is expected for '
            'each video or text.'
        )
    if rows.ndim == 1:
        rows, pooled = rows[None], rows if pooled is None else pooled
    real = np.ones(len(rows), bool) if mask is None else _to_mask(mask, len(rows), where)
    if pooled is not None:
        pooled = to_numbers(pooled, where)
        if pooled.shape != rows.shape[1:]:
            raise ImportFeaturesError(
                f'{where}: pooled has the shape {list(pooled.shape)}; {list(rows.shape[1:])} is '
                'expected.'
            )
    return Item(key, rows, real, pooled, None if caption is None else str(caption), where)


def to_numbers(value: Any, where: str) -> np.ndarray:
    """Return an array of float32 of an array, tensor or list of numbers.

    Raises:
        ImportFeaturesError: if it holds something else.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().float().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:  # a ragged list
        raise ImportFeaturesError(f'{where}: features are no array ({error}).') from error
    if array.dtype.kind not in NUMBERS:
        raise ImportFeaturesError(f'{where}: numbers are expected; it holds {array.dtype}.')
    return array.astype(np.float32)


def _to_mask(value: Any, length: int, where: str) -> np.ndarray:
    mask = value.numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    if mask.shape != (length,) or not np.isin(mask, (0, 1)).all() or not mask.any():
        raise ImportFeaturesError(
            f'{where}: the mask must be [{length}], true or 1 for what is real, and something must '
            f'be; it is {mask.dtype} of the shape {list(mask.shape)}.'
        )
    return mask.astype(bool)
