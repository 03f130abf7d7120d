"""An optimizer for backbones whose Adam state is too large for one GPU."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmaction.registry import OPTIMIZERS
from mmengine.dist import is_distributed
from mmengine.optim import ZeroRedundancyOptimizer


@OPTIMIZERS.register_module()
class ShardedAdamW(ZeroRedundancyOptimizer):
    """AdamW whose state is spread over the processes (ZeRO, stage 1), for large backbones.

    Each process holds the two moments of its share of the parameters and sends the others what
    it updated: results are those of AdamW. mmengine's `ZeroRedundancyOptimizer` collects the state
    when a checkpoint is saved, which one process does alone and so waits forever;
    `DurableCheckpointHook` collects it on all processes before.

    Args:
        params: parameters or groups of them.
        **kwargs: arguments of `torch.optim.AdamW`.

    Raises:
        RuntimeError: in a run of one process without a launcher.
    """

    def __init__(self, params: Iterable, **kwargs: Any) -> None:
        if not is_distributed():
            raise RuntimeError(
                'ShardedAdamW spreads its state over processes, and this run has none: start it by '
                'tools/dist_train.sh, or use AdamW.'
            )
        super().__init__(params, 'AdamW', **kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state, on the process that it was collected on."""
        return super(ZeroRedundancyOptimizer, self).state_dict()
