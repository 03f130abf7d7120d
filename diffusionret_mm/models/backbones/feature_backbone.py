"""What stands where a model has no backbone: features come from elsewhere."""

from __future__ import annotations

import math

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn

from diffusionret_mm.datasets.tokenizers import CaptionTokenizer
from diffusionret_mm.models.backbones.base import TextVideoBackbone
from diffusionret_mm.structures import TextFeatures

CLIP_LOGIT_SCALE = math.log(1 / 0.07)
MAX_LOG_SCALE = math.log(100)


@MODELS.register_module()
class FeatureBackbone(TextVideoBackbone):
    """Passes features on. A retriever with `backbone=None` builds it.

    Args:
        embed_dim: width D of the features.

    Raises:
        ValueError: if there is no width.
    """

    preprocessor = 'FeatureDataPreprocessor'

    def __init__(self, embed_dim: int | None) -> None:
        super().__init__()
        if embed_dim is None:
            raise ValueError(
                'A model with backbone=None needs the width of its features: embed_dim=WIDTH in '
                'the model. The tools take it from the FeatureDataset of the config.'
            )
        self._embed_dim = embed_dim
        self.log_scale = nn.Parameter(torch.tensor(CLIP_LOGIT_SCALE))

    @property
    def tokenizer(self) -> CaptionTokenizer:
        """There is none.

        Raises:
            ValueError: always.
        """
        raise ValueError(
            'A model with backbone=None reads no sentences: its features come from elsewhere.'
        )

    @property
    def is_pretrained(self) -> bool:
        """True: the scale, which starts from CLIP's, changes no rank."""
        return True

    @property
    def embed_dim(self) -> int:
        """Width D of words and frames."""
        return self._embed_dim

    @property
    def logit_scale(self) -> Tensor:
        """The learned scale of similarities as a 0-d tensor, exp(parameter), at most 100."""
        with torch.no_grad():
            self.log_scale.clamp_(max=MAX_LOG_SCALE)
        return self.log_scale.exp()

    def encode_words(self, ids: TextFeatures, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of texts.

        Args:
            ids: features of N texts, in place of token ids.
            mask: theirs, [N, L], bool.

        Returns:
            Words [N, L, D] and pooled features [N, D].
        """
        return ids.words, ids.pooled

    def encode_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return the features of frames.

        Args:
            frames: features [B, F, D], in place of pixels.
            mask: True for real frames, [B, F], bool.

        Raises:
            ValueError: if they are something else.
        """
        if frames.dim() != 3 or frames.shape[-1] != self._embed_dim:
            raise ValueError(
                f'A model with backbone=None takes features [B, F, {self._embed_dim}] and encodes '
                f'no pixels; got {list(frames.shape)}.'
            )
        return frames
