"""Strict checks of what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn


class CheckpointError(RuntimeError):
    """A checkpoint does not fit the model."""


def check_state_dict(
    model: nn.Module, state_dict: Mapping[str, Tensor], may_miss: Iterable[str] = ()
) -> None:
    """Compare a state dict with a model, key by key.

    Args:
        model: the model that is to load it.
        state_dict: what the checkpoint holds.
        may_miss: prefixes of keys that may be missing.

    Raises:
        CheckpointError: naming the missing, unknown and misshapen keys.
    """
    own = model.state_dict()
    missing = [key for key in own if key not in state_dict and not key.startswith(tuple(may_miss))]
    unknown = [key for key in state_dict if key not in own]
    misshapen = [
        f'{key} (checkpoint {list(value.shape)}, model {list(own[key].shape)})'
        for key, value in state_dict.items()
        if key in own and value.shape != own[key].shape
    ]
    problems = [
        f'{len(keys)} {kind}: {_some(keys)}'
        for kind, keys in (('missing', missing), ('unknown', unknown), ('misshapen', misshapen))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f'The checkpoint does not fit {type(model).__name__}; nothing was loaded. Keys '
            + '; '.join(problems)
            + '. Use the config that the checkpoint was trained with.'
        )


def _some(keys: list[str], limit: int = 5) -> str:
    shown = ', '.join(keys[:limit])
    return shown if len(keys) <= limit else f'{shown}, ... and {len(keys) - limit} more'
