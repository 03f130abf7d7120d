"""Text-frame attention: a video as one text sees it."""

from __future__ import annotations

from abc import abstractmethod

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

MASKING_RULES = ('before_softmax', 'after_softmax')


class TextFramePooling(BaseModule):
    """Pools the frames of a video as a text sees it; the base of the heads of a generator."""

    mixes_frames: bool = False
    """Whether `forward` is the sum of the frames, weighted by `attention`. Then frames may be
    projected before they are pooled."""

    @abstractmethod
    def forward(self, text: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool the frames of each (text, video) pair.

        Args:
            text: end-of-text features, shape [..., D], float.
            frames: frame features, shape [..., F, D], float.
            mask: True for real frames, shape [..., F], bool.

        Returns:
            Pooled videos of shape [..., D].
        """

    def attention(self, text: Tensor, frames: Tensor, mask: Tensor) -> Tensor | None:
        """Return the weights of the frames, [..., F]; None if the head has none.

        Arguments as of `forward`.
        """
        return None


@MODELS.register_module()
class TextFrameAttentionHead(TextFramePooling):
    """Pools the frames of a video by their dot products with a text.

    w_f = softmax_f(s . v_f / temperature), pooled = sum_f w_f v_f, on features that are not
    normalised (DiffusionRet, Section 3.2 and supplement A.1). It has no parameters.

    Args:
        temperature: tau' of the paper.
        masking: 'before_softmax' leaves padded frames out; 'after_softmax' is the published code.
            There they take part in the softmax and are removed without renormalising. So a video
            with padding is pooled with weights that sum to less than 1.

    Raises:
        ValueError: if `masking` is neither or `temperature` is not positive.
    """

    mixes_frames = True

    def __init__(self, temperature: float = 1.0, masking: str = 'before_softmax') -> None:
        super().__init__()
        if masking not in MASKING_RULES:
            raise ValueError(f'masking must be one of {MASKING_RULES}; got {masking!r}.')
        if temperature <= 0:
            raise ValueError(f'temperature must be positive; got {temperature}.')
        self.temperature = temperature
        self.masking = masking

    def attention(self, text: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Return the weights of the frames, shape [..., F]; see `forward`."""
        logits = torch.einsum('...d,...fd->...f', text, frames) / self.temperature
        if self.masking == 'after_softmax':
            return logits.softmax(dim=-1) * mask
        return logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(dim=-1) * mask

    def forward(self, text: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Pool the frames of each (text, video) pair.

        The leading dimensions broadcast: text [N, 1, D] with frames [1, M, F, D] pools all pairs
        without a copy of either.

        Args:
            text: end-of-text features, shape [..., D], float.
            frames: frame features, shape [..., F, D], float.
            mask: True for real frames, shape [..., F], bool.

        Returns:
            Pooled videos of shape [..., D].
        """
        weights = self.attention(text, frames, mask)
        return torch.einsum('...f,...fd->...d', weights, frames)
