"""The learning rate of the published training."""

from __future__ import annotations

import math
from typing import Any

from mmaction.registry import PARAM_SCHEDULERS
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up, then a cosine that is not re-based ("warmup_cosine" of BertAdam).

    With x the share of `period` that is over, the factor is x / warmup below `warmup`, then
    (1 + cos(pi x)) / 2. So the first step has rate 0, the rate jumps from 1 to 0.976 at x = 0.1,
    and beyond x = 1 it climbs again (DiffusionRet, `optimization.py`). The published code fixes the
    period to 5 epochs whatever their number.

    Args:
        optimizer: what the rate belongs to.
        *args: see `mmengine.optim.LinearLR`, as `begin` and `end` are.
        period: epochs (iterations if `by_epoch` is False) at whose end the rate is 0.
        warmup: share of the period that warms up.
        **kwargs: `begin`, `end`, `by_epoch`, `last_step`, `verbose`.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self, optimizer: Any, *args: Any, period: float = 5, warmup: float = 0.1, **kwargs: Any
    ) -> None:
        if period <= 0 or not 0 <= warmup < 1:
            raise ValueError(
                f'period must be positive and warmup in [0, 1); got {period} and {warmup}.'
            )
        self.period = period
        self.warmup = warmup
        super().__init__(optimizer, *args, **kwargs)

    @classmethod
    def build_iter_from_epoch(cls, *args: Any, period: float = 5, **kwargs: Any) -> WarmupCosineLR:
        """Build one that counts iterations from a config that counts epochs.

        Args:
            *args: those of the class.
            period: epochs at whose end the rate is 0.
            **kwargs: those of the class, and `epoch_length`, iterations per epoch.
        """
        length = kwargs.pop('epoch_length', None)
        if not kwargs.pop('by_epoch', True) or not length:
            raise ValueError('WarmupCosineLR can only be converted from epochs of a known length.')
        kwargs['begin'] = int(kwargs.get('begin', 0) * length)
        if kwargs.get('end', INF) != INF:
            kwargs['end'] = int(kwargs['end'] * length)
        return cls(*args, period=period * length, by_epoch=False, **kwargs)

    def factor(self, step: int) -> float:
        """Return the factor on the learning rate after `step` steps."""
        share = step / self.period
        if share < self.warmup:
            return share / self.warmup
        return (1 + math.cos(math.pi * share)) / 2

    def _get_value(self) -> list[float]:
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]
