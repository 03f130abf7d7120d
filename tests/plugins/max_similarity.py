"""A similarity of one file: the cosine of the text and the frame that is most like it."""

from mmaction.registry import MODELS
from torch import einsum
from torch.nn import functional as F

from diffusionret_mm.models.similarity import Similarity


@MODELS.register_module()
class MaxSimilarity(Similarity):
    """S = max_f cos(t, v_f)."""

    def forward(self, texts, videos):
        frames = F.normalize(videos.frames, dim=-1)
        cosines = einsum('nd,mfd->nmf', F.normalize(texts.pooled, dim=-1), frames)
        return cosines.masked_fill(~videos.mask, -2.0).amax(dim=-1)
