"""The loss of the generation stage."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F


@MODELS.register_module()
class GenerationKLLoss(BaseModule):
    """KL divergence of the generated distribution from the ideal one.

    mean_i KL( target_i || softmax(scale * prediction_i) ). With the one-hot target of the paper it
    is the cross-entropy that the published code computes (DiffusionRet, Section 3.3).

    Args:
        scale: multiplier of the prediction, 1 / tau-hat of the paper.
    """

    def __init__(self, scale: float = 100.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, prediction: Tensor, target: Tensor | None = None) -> Tensor:
        """Compute the loss.

        Args:
            prediction: predicted x_0, shape [n, K], float.
            target: ideal distribution, shape [n, K], rows sum to 1; None puts all mass on the
                first candidate.

        Returns:
            The mean over the rows, 0-d.
        """
        if target is None:
            target = torch.zeros_like(prediction)
            target[:, 0] = 1.0
        log_probability = F.log_softmax(self.scale * prediction, dim=-1)
        return F.kl_div(log_probability, target, reduction='batchmean')
