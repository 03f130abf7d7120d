"""What every temporal module offers to the rest of the package."""

from __future__ import annotations

from abc import abstractmethod

from mmengine.model import BaseModule
from torch import Tensor, nn


class TemporalModule(BaseModule):
    """Puts the frames of a video into the context of the video."""

    max_frames: int | None = None
    """Frames that a video may have at most; None: any number."""

    @abstractmethod
    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Put frames into context.

        Args:
            frames: frame features, shape [B, F, D], float.
            mask: True for real frames, shape [B, F], bool; real frames come first.

        Returns:
            Features of the same shape.
        """

    def init_from_text_tower(self, tower: nn.Module) -> None:
        """Start from a CLIP text tower. A module of another kind has nothing to start from it.

        Args:
            tower: module with `positional_embedding` [context, D] and `transformer.resblocks`, of
                any width and kind.
        """
