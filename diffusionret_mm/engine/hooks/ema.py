"""Averaged weights, evaluated beside the weights that are trained."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import EMAHook
from mmengine.runner import Runner

from diffusionret_mm.engine.hooks.calibrate import CalibrateHook
from diffusionret_mm.evaluation import format_metrics
from diffusionret_mm.models.checkpoint_check import check_finite
from diffusionret_mm.models.retrievers import TextVideoRetriever

PREFIX = 'ema/'


@HOOKS.register_module()
class EMABesideHook(EMAHook):
    """Keeps an exponential moving average of the weights and evaluates it beside the model.

    mmengine's `EMAHook` evaluates and saves the average in place of the model. This one leaves the
    model alone: each validation and test also runs with the averaged weights, whose metrics get the
    prefix 'ema/' (`CheckpointHook.save_best` may name one), and checkpoints hold both, the average
    as `ema_state_dict`. The average starts as a copy of the model, at the start of each stage. (The
    published code starts it from other random weights, so that most of it is noise at first.)

    Args:
        momentum: weight of the new parameters in each step; the published decay is 1 - 0.01.
        **kwargs: arguments of `mmengine.hooks.EMAHook`.

    Raises:
        ValueError: at the start of a run that calibrates its model, too.
    """

    priority = 'HIGH'  # after StageSwitchHook, before metrics are logged and choose the best

    def __init__(self, momentum: float = 0.01, **kwargs: Any) -> None:
        super().__init__(momentum=momentum, **kwargs)
        self._stage: str | None = None

    def before_run(self, runner: Runner) -> None:
        """Copy the model, unless it will be calibrated."""
        if any(isinstance(hook, CalibrateHook) for hook in runner.hooks):
            raise ValueError(
                'CalibrateHook calibrates the trained weights, and EMABesideHook would evaluate '
                'averaged ones with it; take one of the two hooks out of the config.'
            )
        super().before_run(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start afresh from the model when a stage begins."""
        stage = TextVideoRetriever.of(runner.model).stage
        if stage != self._stage:
            self._restart(self.src_model.state_dict())
        self._stage = stage

    def before_val_epoch(self, runner: Runner) -> None:
        """Leave the model as it is."""

    def before_test_epoch(self, runner: Runner) -> None:
        """Leave the model as it is."""

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the metrics of the averaged weights."""
        self._evaluate(runner, runner.val_loop, metrics)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Add the metrics of the averaged weights."""
        self._evaluate(runner, runner.test_loop, metrics)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the averaged weights and the stage that they are of."""
        checkpoint['ema_state_dict'] = self.ema_model.state_dict()
        checkpoint['meta']['ema_stage'] = self._stage

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Load the averaged weights; a checkpoint without any has its own for a start."""
        if 'ema_state_dict' in checkpoint:
            check_finite(checkpoint['ema_state_dict'], 'The averaged weights of the checkpoint')
            self.ema_model.load_state_dict(checkpoint['ema_state_dict'])
            self._stage = checkpoint['meta'].get('ema_stage')
        else:
            self._restart(checkpoint['state_dict'])

    def _restart(self, state: dict[str, Any]) -> None:
        # Not strictly: checkpoints of the first stage hold no generators.
        self.ema_model.module.load_state_dict(state, strict=False)
        self.ema_model.steps.fill_(1)  # at 0, mmengine would copy the weights after the first step

    @torch.no_grad()
    def _evaluate(self, runner: Runner, loop: Any, metrics: dict[str, float]) -> None:
        self._swap_ema_parameters()
        try:
            averaged, _ = loop.measure(self.src_model)
        finally:
            self._swap_ema_parameters()
        for name, value in averaged.items():
            metrics[f'{PREFIX}{name}'] = value
            runner.message_hub.update_scalar(f'{loop.mode}/{PREFIX}{name}', value)
        runner.logger.info(f'Averaged weights (EMA):\n{format_metrics(averaged)}')
