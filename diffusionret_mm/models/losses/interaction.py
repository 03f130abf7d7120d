"""The losses that HBI adds to the contrastive one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mean_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL divergence of the softmax over the last axis, KL(teacher || student).

    Args:
        student: logits, shape [..., K], float.
        teacher: logits of the same shape; they get a gradient unless they are detached.

    Returns:
        The mean over all entries, not rows, as published; 0-d.
    """
    logits = student.log_softmax(dim=-1), teacher.log_softmax(dim=-1)
    return F.kl_div(*logits, log_target=True, reduction='none').mean()


def interaction_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Distil interactions, those of each word and those of each frame (HBI, Equation 8).

    The published code takes the second softmax over the batch, by the transpose of an array of
    three axes; here it runs over the words.

    Args:
        student: interactions, shape [B, t, v], float.
        teacher: interactions of the same shape.

    Returns:
        The loss, 0-d.
    """
    by_frame = mean_kl(student.transpose(1, 2), teacher.transpose(1, 2))
    return mean_kl(student, teacher) + by_frame


def self_distillation_loss(coarse: Tensor, fine: Tensor) -> Tensor:
    """Pull the scores of a coarse level towards those of words and frames (HBI, Equation 9).

    As published, the fine level learns from the coarse one, too: its scores keep their gradient.

    Args:
        coarse: scores of the level, not scaled, shape [N, M], float.
        fine: scores of words and frames, shape [N, M].

    Returns:
        The loss of both directions, 0-d.
    """
    return mean_kl(coarse, fine) + mean_kl(coarse.t(), fine.t())
