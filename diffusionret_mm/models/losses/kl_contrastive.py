"""Both losses of DiffusionRet as one component."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F


@MODELS.register_module()
class KLContrastiveLoss(BaseModule):
    """The contrastive half for the feature extractor, the KL half for the generators.

    DiffusionRet, Section 3.3. A stage uses one half; both may be called alone.

    Args:
        contrastive: config of the contrastive half.
        generation: config of the KL half.
    """

    def __init__(
        self,
        contrastive: Mapping[str, Any] | None = None,
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.contrastive = MODELS.build(contrastive or dict(type='ContrastiveLoss'))
        self.generation = MODELS.build(generation or dict(type='GenerationKLLoss'))

    def discrimination_loss(
        self, scores: Tensor, logit_scale: Tensor, video_of_text: Tensor, video_index: Tensor
    ) -> dict[str, Tensor]:
        """Return the contrastive losses of a batch; see `ContrastiveLoss.forward`."""
        return self.contrastive(scores, logit_scale, video_of_text, video_index)

    def generation_loss(
        self, t2v: Tensor, v2t: Tensor, positive: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Return the losses of the predictions of both directions.

        Args:
            t2v: predictions of n rows, [n, K].
            v2t: predictions of n rows, [n, K]; its K may be another one.
            positive: the right candidates of each direction, [n, K], bool, which share the ideal
                distribution equally; None: the first of each row.
        """
        losses = {}
        for direction, prediction in (('t2v', t2v), ('v2t', v2t)):
            target = None
            if positive is not None:
                target = F.normalize(positive[direction].to(prediction), p=1, dim=1)
            losses[f'loss_generation_{direction}'] = self.generation(prediction, target)
        return losses
