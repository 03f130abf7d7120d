"""Validation before the first step of a stage."""

from __future__ import annotations

from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from diffusionret_mm.models.retrievers import TextVideoRetriever


@HOOKS.register_module()
class ValidateAtStartHook(Hook):
    """Validates before each stage's first step, as the published training does.

    The published code evaluates after its first step, whose learning rate is 0, so the state that a
    stage starts from takes part in the choice of the best checkpoint. A resumed run validates at
    the start of stages that begin in it, not again where it resumes.
    """

    priority = 'LOWEST'  # after StageSwitchHook

    def __init__(self) -> None:
        self._stage: str | None = None

    def before_train(self, runner: Runner) -> None:
        """Remember the stage that the run starts in.

        Raises:
            ValueError: if the run has no validation.
        """
        if runner.val_loop is None:
            raise ValueError('ValidateAtStartHook needs a validation (val_cfg, val_dataloader).')
        self._stage = _stage(runner)

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate if a stage begins."""
        if runner.iter == 0 or _stage(runner) != self._stage:
            self._stage = _stage(runner)
            runner.val_loop.run()


def _stage(runner: Runner) -> str:
    return TextVideoRetriever.of(runner.model).stage
