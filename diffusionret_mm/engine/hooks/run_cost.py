"""What a run costs: time, memory and parameters."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from diffusionret_mm.evaluation.report import open_atomically

COST_FILE = 'costs.json'


@HOOKS.register_module()
class RunCostHook(Hook):
    """Writes what a run cost into `costs.json` of its work dir, after the test.

    - `parameters`: of the whole model, frozen ones included.
    - `train_s`: seconds of training without its validations, `test_s`: of the test, from the first
      batch to the metrics. Both include the reading of data.
    - `gpu_memory_mb`: peak of the memory that tensors took on this process's GPU; only with a GPU.
    - `memory_mb`: peak of the resident memory of this process, without data workers.
    """

    priority = 'LOWEST'  # other hooks, such as one that fills a cache, are part of the cost

    def __init__(self) -> None:
        self.seconds = dict(train=0.0, val=0.0, test=0.0)
        self._started: dict[str, float] = {}

    def before_train(self, runner: Runner) -> None:
        """Start the clock of training."""
        self._start('train')

    def after_train(self, runner: Runner) -> None:
        """Stop the clock of training."""
        self._stop('train')

    def before_val(self, runner: Runner) -> None:
        """Start the clock of a validation."""
        self._start('val')

    def after_val(self, runner: Runner) -> None:
        """Stop the clock of a validation."""
        self._stop('val')

    def before_test(self, runner: Runner) -> None:
        """Start the clock of the test."""
        self._start('test')

    def after_test(self, runner: Runner) -> None:
        """Stop the clock and write the file, on the main process alone."""
        self._stop('test')
        costs = dict(
            parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
            train_s=self.seconds['train'] - self.seconds['val'],
            test_s=self.seconds['test'],
            memory_mb=peak_rss_mb(),
        )
        if torch.cuda.is_available():
            costs['gpu_memory_mb'] = torch.cuda.max_memory_allocated() / 2**20
        if is_main_process():
            with open_atomically(Path(runner.work_dir) / COST_FILE) as file:
                file.write((json.dumps(costs, indent=2) + '\n').encode())

    def _start(self, name: str) -> None:
        self._started[name] = _now()

    def _stop(self, name: str) -> None:
        self.seconds[name] += _now() - self._started[name]


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far, in MiB."""
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == 'darwin' else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what was started is part of the time
    return time.perf_counter()
