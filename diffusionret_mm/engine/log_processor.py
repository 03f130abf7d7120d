"""Progress of a stage in the log."""

from __future__ import annotations

import datetime

from mmaction.registry import LOG_PROCESSORS
from mmengine.runner import LogProcessor, Runner

from diffusionret_mm.engine.hooks.stage_switch import StageSwitchHook
from diffusionret_mm.models.retrievers import TextVideoRetriever


@LOG_PROCESSORS.register_module()
class StageLogProcessor(LogProcessor):
    """mmengine's log lines, and after them the stage with the time that it has left.

    `eta` is the time left of the whole run at the present pace, and a step of one stage says little
    of the other's. Arguments are those of `mmengine.runner.LogProcessor`.
    """

    def get_log_after_iter(self, runner: Runner, batch_idx: int, mode: str) -> tuple[dict, str]:
        """Format the line of a step."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        return tag, line + self._stage(runner) if mode == 'train' else line

    def _stage(self, runner: Runner) -> str:
        stage = TextVideoRetriever.of(runner.model).stage
        begin = next((hook.begin for hook in runner.hooks if isinstance(hook, StageSwitchHook)), 0)
        if not begin:
            return ''
        last_epoch = begin if stage == 'discrimination' else runner.max_epochs
        steps = last_epoch * len(runner.train_dataloader) - runner.iter - 1
        seconds = runner.message_hub.get_scalar('train/time').mean(self.window_size)
        left = datetime.timedelta(seconds=int(steps * seconds))
        return f'  stage {stage}: {left} left'
