"""Training that continues at the very batch where it stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmaction.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, DataLoader

from diffusionret_mm.engine.global_batch import refuse_no_batches

# Kept in the message hub, and so in every checkpoint: the epoch of the last validation, and the
# number of batches of an epoch.
VALIDATED, LENGTH = 'last_validated_epoch', 'epoch_length'


@LOOPS.register_module()
class TextVideoTrainLoop(EpochBasedTrainLoop):
    """Training by epochs that can be resumed at any iteration, with the same losses.

    In addition to what mmengine's loop does:

    - Before each step the random generators of torch, numpy and Python are seeded with the run's
      seed (with `diff_rank_seed` another on every rank) and the iteration. What a step draws
      depends on nothing else, so a resumed run draws the same by construction, and neither the
      number of loader workers nor a validation that was repeated changes a draw. Data are drawn by
      seed, epoch and item alone, see `TextVideoDataset`.
    - A run resumed inside an epoch goes on with the next batch, without loading those before.
    - A run stopped between the checkpoint of an epoch and the end of its validation validates
      first, so it finds the same best checkpoint.

    Args:
        runner: the runner, as mmengine passes it.
        dataloader: the training loader, or its config, as mmengine passes it.
        *args: further arguments of `mmengine.runner.EpochBasedTrainLoop`.
        **kwargs: those given by name, such as `max_epochs` and `val_interval`.

    Raises:
        ValueError: if an epoch has no batch, or in a run whose epochs are longer or shorter than
            those of its checkpoint.
    """

    def __init__(self, runner: Runner, dataloader: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(runner, dataloader, *args, **kwargs)
        refuse_no_batches(self.dataloader)

    def run(self) -> torch.nn.Module:
        """Train."""
        self._check_length()
        self.runner.call_hook('before_train')
        if self._iter == self._epoch * len(self.dataloader) > 0:
            self._validate_if_due()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._validate_if_due()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Train for an epoch, or for the rest of one."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = self._iter - self._epoch * len(self.dataloader)  # before the run was resumed
        with without_first(self.dataloader, done):
            for index, data_batch in enumerate(self.dataloader, start=done):
                self.run_iter(index, data_batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train for a step, with random draws of its own."""
        seed_all(self.runner.seed, self._iter)
        super().run_iter(idx, data_batch)

    def _check_length(self) -> None:
        """Make sure that iterations lie in the epochs that they did when the run was stopped."""
        hub, length = self.runner.message_hub, len(self.dataloader)
        before = hub.runtime_info.get(LENGTH, length)
        if before != length:
            raise ValueError(
                f'An epoch has {length} batches; it had {before} when the checkpoint was saved. '
                'Resume with the training set, batch size and number of processes of then, or '
                'begin another run from its weights (load_from).'
            )
        hub.update_info(LENGTH, length)

    def _validate_if_due(self) -> None:
        """Validate after an epoch, unless the checkpoint that was resumed comes after that."""
        self._decide_current_val_interval()
        if self.runner.val_loop is None or self._epoch < self.val_begin:
            return
        if self._epoch % self.val_interval and self._epoch != self._max_epochs:
            return
        # A checkpoint saved in the course of the validation is one of its best score.
        if self.runner.message_hub.runtime_info.get(VALIDATED) != self._epoch:
            self.runner.message_hub.update_info(VALIDATED, self._epoch)
            self.runner.val_loop.run()


def seed_all(*numbers: int) -> None:
    """Seed torch on all devices, numpy and Python's `random` with a mixture of numbers.

    Args:
        *numbers: not negative; other numbers or another order give other draws.
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextmanager
def without_first(dataloader: DataLoader, num_batches: int) -> Iterator[None]:
    """Let a loader leave out its first batches, without loading their items.

    Args:
        dataloader: a loader with torch's own batch sampler.
        num_batches: batches to leave out of the next pass.

    Raises:
        TypeError: if there are any, and the loader makes its batches in another way.
    """
    batches = dataloader.batch_sampler
    if num_batches and type(batches) is not BatchSampler:
        raise TypeError(
            f'A run whose batches are made by {type(batches).__name__} can be resumed only at the '
            'end of an epoch: resume from an epoch_*.pth.'
        )
    if not num_batches:
        yield
        return
    sampler = batches.sampler
    batches.sampler = _Rest(sampler, num_batches * batches.batch_size)
    try:
        yield
    finally:
        batches.sampler = sampler


class _Rest:
    """The indices of a sampler behind the first ones."""

    def __init__(self, sampler: Any, start: int) -> None:
        self.sampler = sampler
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return islice(iter(self.sampler), self.start, None)

    def __len__(self) -> int:
        """Length of the whole epoch, by which progress is logged."""
        return len(self.sampler)
