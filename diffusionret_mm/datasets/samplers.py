"""The order of items in an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmaction.registry import DATA_SAMPLERS
from mmengine.dataset import DefaultSampler


@DATA_SAMPLERS.register_module()
class GroupSampler(DefaultSampler):
    """Shuffles groups and keeps their items together; also tells the data set the epoch.

    Near-duplicates (a scene and its twins, clips of one video) teach a contrastive loss most when
    they are in one batch. Items without a group are shuffled alone, as `DefaultSampler` does.

    Args:
        dataset: a `TextVideoDataset`.
        **kwargs: arguments of mmengine's `DefaultSampler`.
    """

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        members: dict[str, list[int]] = {}
        for index in range(len(dataset)):
            members.setdefault(dataset.group_of(index), []).append(index)
        self._groups = list(members.values())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the order and of the data set's random draws."""
        super().set_epoch(epoch)
        self.dataset.set_epoch(epoch, self.seed)

    def __iter__(self) -> Iterator[int]:
        """Iterate over this process's share of the items."""
        order: Sequence[int] = range(len(self._groups))
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed + self.epoch)
            order = torch.randperm(len(self._groups), generator=generator).tolist()
        indices = [index for group in order for index in self._groups[group]]
        if self.round_up:
            indices = (indices * (self.total_size // len(indices) + 1))[: self.total_size]
        return iter(indices[self.rank : self.total_size : self.world_size])
