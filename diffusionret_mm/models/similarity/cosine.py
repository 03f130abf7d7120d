"""Cosine of the text and the mean frame."""

from __future__ import annotations

from mmaction.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@MODELS.register_module()
class CosineSimilarity(Similarity):
    """Similarity of CLIP4Clip's parameter-free head ("meanP", Section 3.3).

    A video is the mean of its frames, each normalised first, normalised again; a text is its
    end-of-text token. It has no parameters, and there is no logit scale inside.
    """

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text against every video.

        Args:
            texts: N texts.
            videos: M videos; one without any frame scores 0.

        Returns:
            Scores in [-1, 1], shape [N, M].
        """
        frames = F.normalize(videos.frames, dim=-1) * videos.mask[..., None]
        # The sum points where the mean does.
        return F.normalize(texts.pooled, dim=-1) @ F.normalize(frames.sum(dim=1), dim=-1).t()
