"""The optimizers of published training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from mmaction.registry import OPTIMIZERS
from torch import Tensor
from torch.optim import Optimizer


@OPTIMIZERS.register_module()
class BertAdam(Optimizer):
    """Adam without bias correction, as the published text-video code has it.

    For a gradient g, first clipped to norm `max_grad_norm` tensor by tensor:

        m = b1 m + (1 - b1) g,    v = b2 v + (1 - b2) g^2,
        p = p - lr (m / (sqrt(v) + eps) + weight_decay p)

    So the decay is decoupled and scaled by the scheduled learning rate (DiffusionRet,
    `optimization.py`; the same in CLIP4Clip and its successors). The schedule is `WarmupCosineLR`.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: b1 and b2.
        eps: added to sqrt(v).
        weight_decay: decoupled decay.
        max_grad_norm: largest norm of one tensor's gradient; 0 or less does not clip.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        weight_decay: float = 0.2,
        max_grad_norm: float = 1.0,
    ) -> None:
        if lr < 0 or eps < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f'lr and eps must not be negative and betas lie in [0, 1); got lr={lr}, eps={eps}, '
                f'betas={betas}.'
            )
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, max_grad_norm=max_grad_norm
        )
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(  # type: ignore[override]  # torch declares two overloads
        self, closure: Callable[[], Tensor] | None = None
    ) -> Tensor | None:
        """Make one step.

        Args:
            closure: computes the loss again, or None.

        Returns:
            The closure's loss, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group['params'] if param.grad is not None]
            if params:
                self._update(group, params)
        return loss

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        gradients = _clip_each(_gradients(params), group['max_grad_norm'])
        updates = _adam_updates([self.state[param] for param in params], gradients, group)
        if group['weight_decay']:
            torch._foreach_add_(updates, params, alpha=group['weight_decay'])
        torch._foreach_add_(params, updates, alpha=-group['lr'])


@OPTIMIZERS.register_module()
class TransformersAdamW(BertAdam):
    """Adam with bias correction, as transformers had it (X-Pool, T-MASS, TextDiff).

    With m and v as in `BertAdam`, of gradients that are not clipped here, at step k

        p = p - lr sqrt(1 - b2^k) / (1 - b1^k) m / (sqrt(v) + eps),
        p = p - lr weight_decay p    afterwards

    `torch.optim.AdamW` adds eps to the corrected root and decays before the update.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: b1 and b2.
        eps: added to sqrt(v).
        weight_decay: decoupled decay.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, max_grad_norm=0.0)

    def _update(self, group: dict[str, Any], params: list[Tensor]) -> None:
        # A parameter that sat out some steps counts its own, so steps are kept one by one.
        states = [self.state[param] for param in params]
        updates = _adam_updates(states, _gradients(params), group)
        beta1, beta2 = group['betas']
        for param, state, update in zip(params, states, updates, strict=True):
            state['step'] = step = state.get('step', 0) + 1
            rate = group['lr'] * math.sqrt(1 - beta2**step) / (1 - beta1**step)
            param.sub_(update, alpha=rate).mul_(1 - group['lr'] * group['weight_decay'])


def _adam_updates(
    states: list[dict[str, Any]], gradients: list[Tensor], group: dict[str, Any]
) -> tuple[Tensor, ...]:
    """Move both means on and return m / (sqrt(v) + eps) of each parameter."""
    for state, gradient in zip(states, gradients, strict=True):
        if not state:
            state.update(exp_avg=torch.zeros_like(gradient), exp_avg_sq=torch.zeros_like(gradient))
    means = [state['exp_avg'] for state in states]
    squares = [state['exp_avg_sq'] for state in states]
    beta1, beta2 = group['betas']
    torch._foreach_mul_(means, beta1)
    torch._foreach_add_(means, gradients, alpha=1 - beta1)
    torch._foreach_mul_(squares, beta2)
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - beta2)
    divisors = torch._foreach_sqrt(squares)
    torch._foreach_add_(divisors, group['eps'])
    return torch._foreach_div(means, divisors)


def _gradients(params: list[Tensor]) -> list[Tensor]:
    return [param.grad for param in params if param.grad is not None]


def _clip_each(gradients: list[Tensor], max_norm: float) -> list[Tensor]:
    """Scale each gradient to at most the norm, as `clip_grad_norm_` does for one tensor."""
    if max_norm <= 0:
        return gradients
    norms = torch._foreach_norm(gradients)
    factors = [(max_norm / (norm + 1e-6)).clamp(max=1.0) for norm in norms]
    return list(torch._foreach_mul(gradients, factors))
