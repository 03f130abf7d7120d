"""Strict checks of what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffusionret_mm.passport import Passport

# In the `meta` of a checkpoint.
PASSPORT = 'passport'


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
        CheckpointError: naming the missing, unknown and misshapen keys, or those that are not
            finite.
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
    check_finite(state_dict)


def check_finite(state_dict: Mapping[str, Tensor], source: str = 'The checkpoint') -> None:
    """Refuse weights that hold NaN or infinity: no loss, score or search comes of them.

    Args:
        state_dict: weights by name.
        source: what holds them, for the message.

    Raises:
        CheckpointError: naming them.
    """
    bad = [
        key
        for key, value in state_dict.items()
        if value.is_floating_point() and not torch.isfinite(value).all()
    ]
    if bad:
        raise CheckpointError(
            f'{source} holds NaN or infinite values in {len(bad)} of {len(state_dict)} tensors: '
            f'{_some(bad)}. Its training has diverged, or the file is damaged; nothing was '
            'loaded. Use an earlier checkpoint.'
        )


def check_passport(passport: Passport | None, meta: Mapping[str, Any] | None, source: str) -> None:
    """Refuse a checkpoint of a model that read texts or frames in another way.

    A checkpoint of a version before passports fits an encoder that those versions ran as it is run
    now.

    Args:
        passport: of the present backbone; None: nothing is compared.
        meta: `meta` of the checkpoint, or None for bare weights, of which nothing is known.
        source: name of the checkpoint, for the message.

    Raises:
        CheckpointError: naming what differs.
    """
    if passport is None or meta is None:
        return
    then = meta.get(PASSPORT)
    earlier = passport.facts_of_earlier_versions() if then is None else then['facts']
    differences = passport.differences(earlier)
    if differences:
        name = 'an earlier version' if then is None else repr(then['arch'])
        raise CheckpointError(
            f'{source} was made with {name} and does not fit {passport.arch!r}, which reads texts '
            f'or frames in another way: {"; ".join(differences)}. Use the backbone that it was '
            'trained with, or train again.'
        )


def passport_entry(passport: Passport | None) -> dict[str, Any]:
    """Return what the `meta` of a checkpoint says of the passport, to be merged into it."""
    if passport is None:
        return {}
    return {PASSPORT: dict(arch=passport.arch, weights=passport.weights, facts=passport.facts())}


def _some(keys: list[str], limit: int = 5) -> str:
    shown = ', '.join(keys[:limit])
    return shown if len(keys) <= limit else f'{shown}, ... and {len(keys) - limit} more'
