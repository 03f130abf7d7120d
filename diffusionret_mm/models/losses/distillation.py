"""The loss between a teacher and a student."""

from __future__ import annotations

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor

BATCH_RULES = ('mean', 'sum')


@MODELS.register_module()
class TeacherStudentLoss(BaseModule):
    """Mean squared difference of each row, weighted.

    weight * reduce_b mean_d (teacher_bd - student_bd)^2. The code published with TextDiff has a
    weight of 0.1 and sums over the batch.

    Args:
        weight: of the loss.
        over_batch: 'mean', or 'sum', the published rule, whose weight grows with the batch.

    Raises:
        ValueError: if `over_batch` is neither.
    """

    def __init__(self, weight: float = 1.0, over_batch: str = 'mean') -> None:
        super().__init__()
        if over_batch not in BATCH_RULES:
            raise ValueError(f'over_batch must be one of {BATCH_RULES}; got {over_batch!r}.')
        self.weight = weight
        self.over_batch = over_batch

    def forward(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            teacher: shape [B, ...], float; it gets a gradient unless it is detached.
            student: the same shape.

        Returns:
            The loss, 0-d.
        """
        rows = (teacher - student).square().flatten(1).mean(dim=1)
        return self.weight * (rows.mean() if self.over_batch == 'mean' else rows.sum())
