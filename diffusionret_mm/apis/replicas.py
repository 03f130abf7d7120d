"""A model on several devices, each of which encodes a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer

Batch = dict[str, Any]
Encode = Callable[['TextVideoInferencer', Sequence[Any]], Any]


class Replicas:
    """Gives batches to the devices that are free.

    With one device a batch is encoded at once, in this thread.

    Args:
        inferencer: the model.
        devices: where to encode.
        encode: what to do with the values of a batch, on the device of an inferencer.
    """

    def __init__(
        self, inferencer: TextVideoInferencer, devices: Sequence[torch.device], encode: Encode
    ) -> None:
        self.encode = encode
        self._free: SimpleQueue[TextVideoInferencer] = SimpleQueue()
        for device in devices:
            self._free.put(inferencer.on(device))
        self._count = len(devices)
        self._pool = ThreadPoolExecutor(self._count) if self._count > 1 else None
        self._running: set[Future] = set()

    def submit(self, batch: Batch) -> list[tuple[list[str], Any]]:
        """Encode a batch as soon as a device is free.

        Args:
            batch: values by name.

        Returns:
            Names and result of each batch that is done by now.
        """
        if self._pool is None:
            return [self._run(batch)]
        self._running.add(self._pool.submit(self._run, batch))
        enough = len(self._running) > self._count  # one waits for each device that gets free
        return self._done(None if enough else 0)

    def finish(self) -> list[tuple[list[str], Any]]:
        """Return what is still to come."""
        results = []
        while self._running:
            results += self._done(None)
        return results

    def close(self) -> None:
        """Drop the batches that no device has begun."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, timeout: float | None) -> list[tuple[list[str], Any]]:
        done, self._running = wait(self._running, timeout, FIRST_COMPLETED)
        return [future.result() for future in done]

    def _run(self, batch: Batch) -> tuple[list[str], Any]:
        inferencer = self._free.get()
        try:
            return list(batch), self.encode(inferencer, list(batch.values()))
        finally:
            self._free.put(inferencer)
