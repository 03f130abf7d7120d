"""Many processes that index the same videos: what each of them does."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Share:
    """The part of the files that a process indexes: some paths, by their hash.

    Processes need not know of each other: one that is killed, or started twice, does its own part
    again, and rows of the same ids are one row.

    Args:
        rank: number of this process, from 0.
        world_size: number of processes.
        local_rank: number of this process on its machine.
        local_world_size: number of processes on its machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1

    @classmethod
    def of_this_process(cls) -> Share:
        """Read what torchrun, or `tools/slurm_index.sh`, has set; all of it if nothing is set.

        Raises:
            ValueError: if RANK or WORLD_SIZE is set without the other, or they do not fit.
        """
        names = dict(rank='RANK', world_size='WORLD_SIZE')
        found = {key: os.environ[name] for key, name in names.items() if name in os.environ}
        if not found:
            return cls()
        try:
            rank, world_size = int(found['rank']), int(found['world_size'])
        except (KeyError, ValueError):
            rank, world_size = 0, 0
        if not 0 <= rank < world_size:
            raise ValueError(
                f'RANK={os.environ.get("RANK")!r} and WORLD_SIZE={os.environ.get("WORLD_SIZE")!r} '
                'do not fit together; start several processes by torchrun.'
            )
        local = int(os.environ.get('LOCAL_RANK', 0)), int(os.environ.get('LOCAL_WORLD_SIZE', 1))
        return cls(rank, world_size, *local)

    def has(self, path: str) -> bool:
        """Tell whether a file is in this share.

        Args:
            path: path relative to the root of its library.
        """
        digest = hashlib.blake2b(path.encode(), digest_size=8).digest()
        return int.from_bytes(digest, 'big') % self.world_size == self.rank

    def workers(self) -> int:
        """Return the number of decoding processes: the cores of the machine, in equal parts."""
        return max(1, (os.cpu_count() or 1) // self.local_world_size)

    def devices(self) -> list[torch.device]:
        """Return the devices of this process: all GPUs, or one of several processes' own GPU.

        Without a GPU it is the CPU.
        """
        count = torch.cuda.device_count()
        if not count:
            return [torch.device('cpu')]
        if self.world_size > 1:
            return [torch.device('cuda', self.local_rank % count)]
        return [torch.device('cuda', number) for number in range(count)]
