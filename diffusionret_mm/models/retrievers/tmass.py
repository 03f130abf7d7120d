"""T-MASS: texts as stochastic masses."""

from __future__ import annotations

from typing import Any

from mmaction.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.models.similarity.xpool import pair_cosines
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@MODELS.register_module()
class TMASS(TextVideoRetriever):
    """Text is mass (Wang et al., CVPR 2024).

    Training takes one point of each text's mass, with the radius R_i that the text's own video
    gives, and the videos pooled for the plain texts, P_ci; s_ic are the scores of the loss:

        t~_i  = t_i + e_i * R_i,                          s_ic = cos(t~_i, P_ci)
        v_i   = mean of P_ci over the texts of the batch, c the video of text i
        sup_i = t_i + R_i * (v_i - t_i) / |v_i - t_i|     s'_ic = cos(sup_i, P_ci)
        L     = L_contrastive(s) + support_weight L_contrastive(s')

    All of that is the paper's. Ranking is by `StochasticXPool`, which takes the radius from the
    candidate video. Both evaluations published with T-MASS and TextDiff pool each video with its
    own caption instead, which tells the answer: see docs/textdiff.md.

    Args:
        support_weight: weight of the loss of the support texts; the published commands have 0.8
            for MSR-VTT and 0 for the other data sets.
        **kwargs: of `TextVideoRetriever`; `similarity` is a `StochasticXPool`, `loss` a
            `ContrastiveLoss`.
    """

    def __init__(self, *, support_weight: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.support_weight = support_weight

    def loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the losses of the global batch; see `TextVideoRetriever.loss`."""
        head, text = self.similarity, texts.pooled
        queries = head.prepare_texts(texts).queries
        pooled = head.pool(queries, head.prepare_videos(videos))
        own = videos[video_of_text]
        radius = head.radius(text[:, None], own.frames, own.mask).squeeze(1)
        stochastic = text + head.draw_like(text) * radius
        options = (self.backbone.logit_scale, video_of_text, video_index)
        losses = self.loss_head(pair_cosines(stochastic, pooled), *options)
        if self.support_weight:
            support = support_texts(text, radius, pooled, video_of_text)
            extra = self.loss_head(pair_cosines(support, pooled), *options)
            losses |= {
                f'{name}_support': self.support_weight * value for name, value in extra.items()
            }
        return losses


def support_texts(texts: Tensor, radius: Tensor, pooled: Tensor, video_of_text: Tensor) -> Tensor:
    """Move each text to the border of its mass, towards its video.

    Args:
        texts: [N, D].
        radius: R of each text against its own video, [N, D].
        pooled: the videos pooled for each text, [M, N, D].
        video_of_text: row of each text's video, [N], int64.

    Returns:
        Support texts, [N, D].
    """
    videos = pooled.mean(dim=1)[video_of_text]
    return texts + radius * F.normalize(videos - texts, dim=-1)
