"""The contrastive loss of the discrimination stage."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

SAME_VIDEO_RULES = ('ignored', 'negative')


@MODELS.register_module()
class ContrastiveLoss(BaseModule):
    """Symmetric InfoNCE over texts and videos (DiffusionRet, Section 3.3).

    Args:
        same_video: what another row of the same video is: 'ignored' leaves it out of the
            denominator; 'negative' pushes it away, as the published code does.
        scaled: whether scores are multiplied by the learned logit scale. Cosines need it; the
            logits of `PairTransformer` do without.

    Raises:
        ValueError: if `same_video` is neither.
    """

    def __init__(self, same_video: str = 'ignored', scaled: bool = True) -> None:
        super().__init__()
        if same_video not in SAME_VIDEO_RULES:
            raise ValueError(f'same_video must be one of {SAME_VIDEO_RULES}; got {same_video!r}.')
        self.same_video = same_video
        self.scaled = scaled

    def forward(
        self,
        scores: Tensor,
        logit_scale: Tensor | float,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the loss of a batch.

        Args:
            scores: similarities, shape [N, M], float.
            logit_scale: scale of the similarities, 0-d.
            video_of_text: row of each text's video, shape [N], int64.
            video_index: identity of each video, shape [M], int64; rows of one video share it.

        Returns:
            `loss_t2v` and `loss_v2t`, each half of the mean negative log likelihood, 0-d.

        Raises:
            ValueError: if the shapes do not belong together.
        """
        if scores.shape != (len(video_of_text), len(video_index)):
            raise ValueError(
                f'scores {list(scores.shape)} do not belong to {len(video_of_text)} texts and '
                f'{len(video_index)} videos.'
            )
        logits = scores * logit_scale if self.scaled else scores
        own = video_index[video_of_text]
        own_text = torch.arange(len(own), device=own.device)
        t2v = self._nll(logits, video_of_text, own, video_index)
        # Row i: the video of text i against all texts, so a video counts once a caption.
        v2t = self._nll(logits.t()[video_of_text], own_text, own, own)
        return dict(loss_t2v=t2v / 2, loss_v2t=v2t / 2)

    def _nll(self, logits: Tensor, target: Tensor, own: Tensor, candidates: Tensor) -> Tensor:
        if self.same_video == 'ignored':
            others = own[:, None] == candidates[None, :]
            others = others.scatter(1, target[:, None], False)
            logits = logits.masked_fill(others, float('-inf'))
        return F.cross_entropy(logits, target)
