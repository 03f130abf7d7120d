"""From items of features to the batch a retriever takes."""

from __future__ import annotations

from collections.abc import Sequence

from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from diffusionret_mm.structures import TextFeatures


@MODELS.register_module()
class FeatureDataPreprocessor(RetrievalDataPreprocessor):
    """Stacks features of videos, joins those of texts, and moves both to the device.

    Of the batch that `RetrievalDataPreprocessor` makes, `frames` are [B, F, D] and `ids` are
    `TextFeatures`.
    """

    def join_texts(self, texts: Sequence[TextFeatures]) -> TextFeatures:
        """Join the texts of the videos."""
        return TextFeatures.cat(list(texts)).to(self.device)

    def normalise(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return the features as they are."""
        return frames
