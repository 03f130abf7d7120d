"""Seconds, memory, disk, and what the machine can do."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

MATRIX_SIZE = 4096  # rows and columns of the matrices whose product tells the rate

ResultT = TypeVar('ResultT')


def timed(run: Callable[[], ResultT], device: str | torch.device) -> tuple[float, ResultT]:
    """Return the seconds of a call, and what it returned."""
    _wait(device)
    start = time.perf_counter()
    result = run()
    _wait(device)
    return time.perf_counter() - start, result


def quantiles(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile in milliseconds, under names with `name`."""
    median, late = np.percentile(1000 * np.array(seconds), [50, 95]).tolist()
    return {f'{name}_ms_p50': median, f'{name}_ms_p95': late}


class Clock:
    """Adds the time since the last call to one of several sums.

    Args:
        names: names of the sums, in `seconds`.
    """

    def __init__(self, *names: str) -> None:
        self.seconds = dict.fromkeys(names, 0.0)
        self._last = time.perf_counter()

    def __call__(self, name: str) -> None:
        """End the span of time that belongs to a sum."""
        now = time.perf_counter()
        self.seconds[name] += now - self._last
        self._last = now


class RowCount:
    """Counts the rows that a module is given, such as images by an image tower.

    Args:
        module: the module.
    """

    def __init__(self, module: torch.nn.Module) -> None:
        self._rows: list[int] = []  # threads add to it
        module.register_forward_pre_hook(self._add)

    def take(self) -> int:
        """Return the rows since the last call."""
        rows, self._rows = self._rows, []
        return sum(rows)

    def _add(self, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self._rows.append(len(inputs[0]))


def forget_peak_memory() -> None:
    """Let `peak_memory` start anew, where the system can (Linux)."""
    switch = Path('/proc/self/clear_refs')
    if switch.exists():
        switch.write_text('5')


def memory_mb(name: str) -> float:
    """Return a figure of /proc/self/status, such as VmHWM, in MB; Linux alone has it."""
    status = Path('/proc/self/status').read_text()
    return int(status.split(f'{name}:')[1].split()[0]) / 1000


def size_gb(folder: Path) -> float:
    """Return the size of the files in a folder and below."""
    return sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e9


def forget_pages(folder: Path) -> None:
    """Let the kernel drop what it holds of the files in a folder and below."""
    os.sync()
    for file in filter(Path.is_file, folder.rglob('*')):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


@functools.cache
def machine_rate(device: str | torch.device, dtype: torch.dtype = torch.float32) -> float:
    """Return the floating-point operations per second of a large matrix product.

    It is measured once per device and dtype. A GPU is given several products at a time, since one
    may take no longer than the call.
    """
    a, b = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE, device=device).to(dtype)
    count = 20 if torch.device(device).type == 'cuda' else 1
    seconds = min(timed(lambda: [a @ b for _ in range(count)], device)[0] for _ in range(3))
    return 2 * MATRIX_SIZE**3 * count / seconds


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
