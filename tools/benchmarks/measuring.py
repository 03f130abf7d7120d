"""Seconds, memory, and what the machine can do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

ResultT = TypeVar('ResultT')


def timed(run: Callable[[], ResultT], device: str | torch.device) -> tuple[float, ResultT]:
    """Return the seconds of a call, and what it returned."""
    _wait(device)
    start = time.perf_counter()
    result = run()
    _wait(device)
    return time.perf_counter() - start, result


class RowCount:
    """Counts the rows that a module is given, such as images by an image tower.

    Args:
        module: the module.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._rows = 0
        module.register_forward_pre_hook(self._add)

    def take(self) -> int:
        """Return the rows since the last call."""
        rows, self._rows = self._rows, 0
        return rows

    def _add(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._rows += len(inputs[0])


def forget_peak_memory() -> None:
    """Let `peak_memory` start anew, where the system can (Linux)."""
    switch = Path('/proc/self/clear_refs')
    if switch.exists():
        switch.write_text('5')


def machine_rate(
    device: str | torch.device, dtype: torch.dtype = torch.float32, size: int = 4096
) -> float:
    """Return the floating-point operations per second of a large matrix product."""
    a, b = torch.randn(2, size, size, device=device).to(dtype)
    return 2 * size**3 / min(timed(lambda: a @ b, device)[0] for _ in range(3))


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
