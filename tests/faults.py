"""Imported by the configs of some tests: what goes wrong in a run, and when."""

import os
import signal
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import get_rank
from mmengine.hooks import Hook


@HOOKS.register_module()
class FaultHook(Hook):
    """Makes the loss NaN, or kills the process, on one rank before an iteration."""

    def __init__(self, rank, nan_at=-1, die_at=-1):
        self.rank, self.nan_at, self.die_at = rank, nan_at, die_at

    def before_train_iter(self, runner, *args, **kwargs):
        if get_rank() != self.rank:
            return
        if runner.iter == self.die_at:
            Path('died').touch()
            os.kill(os.getpid(), signal.SIGKILL)
        model = runner.model.module
        model.__dict__.pop('loss', None)
        if runner.iter == self.nan_at:
            loss = model.loss
            model.loss = lambda *args: {name: x * torch.nan for name, x in loss(*args).items()}
