"""The hook that records the costs of a run: time, memory and parameters."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.storage.files import write_json

COST_FILE = 'costs.json'


@HOOKS.register_module()
class RunCostHook(Hook):
    """Writes what a run cost into `costs.json` of its work dir, after the test.

    - `parameters`: of the whole model, frozen ones included.
    - `train_s`: seconds of training without its validations, `test_s`: of the test, from the first
      batch to the metrics. Both include the reading of data.
    - `train_cpu_s`, `test_cpu_s`: processor time of all threads in them, which tells more than
      seconds where other jobs share the machine.
    - `gpu_memory_mb`: peak of the memory that tensors took on this process's GPU; only with a GPU.
    - `memory_mb`: peak of the resident memory of this process, without data workers.
    """

    priority = 'LOWEST'  # other hooks, such as one that fills a cache, are part of the cost

    def __init__(self) -> None:
        zero = torch.zeros(2, dtype=torch.float64)
        self._spent = dict(train=zero, val=zero, test=zero)  # elapsed and processor seconds
        self._started: dict[str, torch.Tensor] = {}

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
        train_s, train_cpu_s = (self._spent['train'] - self._spent['val']).tolist()
        test_s, test_cpu_s = self._spent['test'].tolist()
        costs = dict(
            parameters=sum(parameter.numel() for parameter in runner.model.parameters()),
            train_s=train_s,
            test_s=test_s,
            train_cpu_s=train_cpu_s,
            test_cpu_s=test_cpu_s,
            memory_mb=peak_memory() / 2**20,
        )
        if torch.cuda.is_available():
            costs['gpu_memory_mb'] = torch.cuda.max_memory_allocated() / 2**20
        if is_main_process():
            write_json(Path(runner.work_dir) / COST_FILE, costs, indent=2)

    def _start(self, name: str) -> None:
        self._started[name] = _now()

    def _stop(self, name: str) -> None:
        self._spent[name] = self._spent[name] + _now() - self._started[name]


def _now() -> torch.Tensor:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # what was started is part of the time
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)
