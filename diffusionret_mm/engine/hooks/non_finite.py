"""The hook that handles losses and gradients that are NaN or infinite."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object, all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.optim import Optimizer

ACTIONS = ('stop', 'skip')
ADVICE = (
    'Nothing was saved since the last checkpoint. Look at these videos and captions and at the '
    'learning rate; to leave such steps out, set default_hooks.non_finite.action=skip and --resume.'
)


@HOOKS.register_module()
class NonFiniteLossHook(Hook):
    """Names the videos of a batch whose loss or gradient is not finite, and stops or goes on.

    A step with such a gradient is never made, whatever the action: parameters and the state of the
    optimizer stay as they were. All processes decide alike. (A scaler of mixed precision leaves out
    steps that overflow by itself; those have a finite loss and do not count here.)

    Args:
        action: 'stop' ends the run before anything is saved; 'skip' logs a warning and goes on with
            the next batch.
        max_in_a_row: number of such batches one after another that ends the run in any case.

    Raises:
        ValueError: if an argument is out of range.
        FloatingPointError: in training, when the run is ended.
    """

    priority = 'ABOVE_NORMAL'  # before anything of the step is averaged, logged or saved

    def __init__(self, action: str = 'stop', max_in_a_row: int = 10) -> None:
        if action not in ACTIONS or max_in_a_row < 1:
            raise ValueError(
                f'action must be one of {ACTIONS} and max_in_a_row positive; got {action!r} and '
                f'{max_in_a_row}.'
            )
        self.action = action
        self.max_in_a_row = max_in_a_row
        self._in_a_row = 0
        self._step_left_out = False
        self._guarded: Optimizer | None = None

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Guard the optimizer; a new stage has a new one."""
        self._step_left_out = False
        if runner.optim_wrapper.optimizer is not self._guarded:
            self._guarded = runner.optim_wrapper.optimizer
            self._guarded.register_step_pre_hook(self._guard)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Stop or go on."""
        losses = {name: value.item() for name, value in outputs.items() if 'loss' in name}
        if not _on_any_process(self._step_left_out or not _is_finite(losses)):
            self._in_a_row = 0
            return
        self._in_a_row += 1
        text = self._describe(runner, losses, data_batch['data_samples'])
        if self.action == 'stop':
            raise FloatingPointError(f'{text}\n{ADVICE}')
        if self._in_a_row >= self.max_in_a_row:
            raise FloatingPointError(
                f'{text}\nIt is number {self._in_a_row} of such batches in a row, so training has '
                'come to nothing: resume from an earlier checkpoint, with a lower learning rate '
                'for instance.'
            )
        runner.logger.warning(text)

    def _guard(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Take away gradients that are not finite: an optimizer passes over what has none."""
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group['params']
            if parameter.grad is not None
        ]
        if _on_any_process(not all(gradient.isfinite().all() for gradient in gradients)):
            self._step_left_out = True
            optimizer.zero_grad(set_to_none=True)

    def _describe(self, runner: Runner, losses: dict[str, float], samples: list) -> str:
        """Tell iteration, losses and videos; the same text on every process."""
        parts = all_gather_object((losses, [sample.video_id for sample in samples]))
        # The loss is one of the global batch, but a fault may lie in one process.
        losses = next((part for part, _ in parts if not _is_finite(part)), losses)
        values = ', '.join(f'{name} = {value:g}' for name, value in losses.items())
        wrong = 'a gradient' if _is_finite(losses) else 'the loss'
        step = 'No step was made' if self._step_left_out else 'Its gradients were finite'
        return (
            f'Iteration {runner.iter + 1} (epoch {runner.epoch + 1}): {wrong} is not finite '
            f'({values}). {step}. Videos of the batch: '
            f'{", ".join(name for _, names in parts for name in names)}'
        )


def _is_finite(losses: dict[str, float]) -> bool:
    return all(map(math.isfinite, losses.values()))


def _on_any_process(flag: bool) -> bool:
    flags = torch.tensor(float(flag))
    all_reduce(flags, 'max')
    return bool(flags)
