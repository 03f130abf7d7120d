"""One probability per candidate."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F


@MODELS.register_module()
class CandidateBCELoss(BaseModule):
    """Binary cross-entropy of each candidate, in place of a distribution over all of them.

    Half of the sum over the candidates, as the mean over the rows: with one right candidate about
    the size of a cross-entropy. For logits, such as those of `ListwiseReranker`.
    """

    def forward(self, prediction: Tensor, target: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            prediction: logits, shape [n, K], float.
            target: ideal distribution, shape [n, K]; what is above 0 is right. None: the first.

        Returns:
            The loss, 0-d.
        """
        right = torch.zeros_like(prediction)
        if target is None:
            right[:, 0] = 1.0
        else:
            right = (target > 0).to(prediction)
        loss = F.binary_cross_entropy_with_logits(prediction, right, reduction='none')
        return loss.sum(dim=1).mean() / 2
