"""Chunks of small operations, a chunk a core."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from torch import Tensor


def map_chunks(function: Callable[[Tensor], Tensor], chunks: Sequence[Tensor]) -> Iterator[Tensor]:
    """Apply a function to chunks, in parallel on a CPU.

    Operations too small for several threads lose more time to waking the threads than these save,
    and wait for the slowest of them at every operation. So each thread takes chunks of its own, as
    many threads as torch would use, and its operations run in it alone. Other devices take the
    chunks one after another, and so does autocast on a CPU, which other threads do not see.

    Args:
        function: takes a chunk, without gradient and without writing to what other chunks read.
        chunks: its arguments, on one device.

    Yields:
        Its results in the order of the chunks.
    """
    num_threads = min(torch.get_num_threads(), len(chunks))
    on_cpu = bool(chunks) and chunks[0].device.type == 'cpu'
    if num_threads < 2 or not on_cpu or torch.is_autocast_enabled('cpu'):
        yield from map(torch.no_grad()(function), chunks)
        return
    with _single_threaded_operations(), ThreadPoolExecutor(num_threads) as pool:
        yield from pool.map(torch.no_grad()(function), chunks)


@contextmanager
def _single_threaded_operations() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # new threads take this over
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
