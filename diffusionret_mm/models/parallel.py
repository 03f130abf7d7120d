"""Many small operations, shared out among the cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

ItemT = TypeVar('ItemT')
ResultT = TypeVar('ResultT')


def map_on_cores(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], device: torch.device
) -> Iterator[ResultT]:
    """Apply a function to items, in parallel on a CPU.

    Operations too small for several threads lose more time to waking the threads than these save,
    and wait for the slowest of them at every operation. So each thread takes items of its own, as
    many threads as torch would use, and its operations run in it alone. Other devices take the
    items one after another, and so does autocast on a CPU, which other threads do not see.

    Args:
        function: takes an item, without gradient and without writing to what others read.
        items: its arguments.
        device: where the function works.

    Yields:
        Its results in the order of the items.
    """
    num_threads = min(torch.get_num_threads(), len(items))
    if num_threads < 2 or device.type != 'cpu' or torch.is_autocast_enabled('cpu'):
        yield from map(torch.no_grad()(function), items)
        return
    # Other threads do not see this either, and only it may write to tensors made in it.
    mode = torch.inference_mode() if torch.is_inference_mode_enabled() else torch.no_grad()
    with _single_threaded_operations(), ThreadPoolExecutor(num_threads) as pool:
        yield from pool.map(mode(function), items)


@contextmanager
def _single_threaded_operations() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # new threads take this over
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
