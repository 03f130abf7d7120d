"""The two containers that pass from the encoders to everything behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
from torch import Tensor

FeaturesT = TypeVar('FeaturesT', bound='_Features')


@dataclass(frozen=True)
class _Features:
    """What both containers can do: move, index, count and join rows."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the fields by name, without copying."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def to(self: FeaturesT, *args: Any, **kwargs: Any) -> FeaturesT:
        """Move or cast every field but the mask's dtype, as `torch.Tensor.to` does."""
        moved = {name: value.to(*args, **kwargs) for name, value in self.tensors().items()}
        moved['mask'] = moved['mask'].to(torch.bool)  # a dtype is for the others
        return type(self)(**moved)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.tensors()['mask'])

    def __getitem__(self: FeaturesT, rows: slice | Tensor | Sequence[int]) -> FeaturesT:
        """Select rows by a slice, an integer tensor of shape [n] or a list of integers."""
        if isinstance(rows, int):
            raise TypeError(
                f'{type(self).__name__} is indexed by a slice or by several rows; '
                f'use [{rows}:{rows + 1}] for one row.'
            )
        return type(self)(**{name: value[rows] for name, value in self.tensors().items()})

    @classmethod
    def cat(cls: type[FeaturesT], parts: Sequence[FeaturesT]) -> FeaturesT:
        """Join the rows of several containers in the given order.

        Raises:
            ValueError: if `parts` is empty.
        """
        if not parts:
            raise ValueError(f'{cls.__name__}.cat needs at least one part.')
        names = parts[0].tensors()
        return cls(**{name: torch.cat([part.tensors()[name] for part in parts]) for name in names})


def _check_mask(kind: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    """Refuse masks of numbers: `~mask` and `x[mask]` mean something else with them."""
    _check(kind, 'mask', mask, shape)
    if mask.dtype != torch.bool:
        raise TypeError(
            f'{kind}.mask has the dtype {str(mask.dtype).removeprefix("torch.")}; bool is '
            'expected, true for what is real. Give mask.bool(), or mask > 0.'
        )


def _check(kind: str, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(
            f'{kind}.{name} has shape {list(value.shape)}; {list(shape)} was expected.'
        )


@dataclass(frozen=True)
class TextFeatures(_Features):
    """Encoded texts.

    Args:
        words: every token of each text, shape [N, L, D], float.
        mask: true for real tokens (start and end of text included), shape [N, L], bool.
        pooled: the end-of-text token, shape [N, D], float.

    Raises:
        ValueError: if the shapes do not belong together.
        TypeError: if the mask is not bool.
    """

    words: Tensor
    mask: Tensor
    pooled: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the mask."""
        if self.words.dim() != 3:
            raise ValueError(f'TextFeatures.words must be [N, L, D]; got {list(self.words.shape)}.')
        num_texts, length, width = self.words.shape
        _check_mask('TextFeatures', self.mask, (num_texts, length))
        _check('TextFeatures', 'pooled', self.pooled, (num_texts, width))


@dataclass(frozen=True)
class VideoFeatures(_Features):
    """Encoded videos.

    Args:
        frames: frames after the temporal module, shape [M, F, D], float.
        mask: true for real frames, shape [M, F], bool.

    Raises:
        ValueError: if the shapes do not belong together.
        TypeError: if the mask is not bool.
    """

    frames: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the mask."""
        if self.frames.dim() != 3:
            raise ValueError(
                f'VideoFeatures.frames must be [M, F, D]; got {list(self.frames.shape)}.'
            )
        _check_mask('VideoFeatures', self.mask, tuple(self.frames.shape[:2]))
