"""The settings in which two configs differ, and which of these change training."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from diffusionret_mm.engine.config_text import read_values

# What training reads. Other names of a config are variables of its own, or about logs and tests.
TRAINING = (
    'model',
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'custom_hooks',
    'default_hooks.stage_switch',
    'default_hooks.feature_cache',
    'default_hooks.validate_at_start',
    'randomness',
    'auto_scale_lr',
    'val_dataloader',
    'val_evaluator',
    'val_cfg',
    'default_hooks.checkpoint',
    'choose_on_test',
)
# What does not change its losses or the choice of the best checkpoint, but perhaps their speed.
HARMLESS = re.compile(
    r'.*_dataloader\.(num_workers|persistent_workers|prefetch_factor|pin_memory|timeout)'
    r'|.*\.(data_root|manifest|pretrained|out_file_path)'
    r'|default_hooks\.feature_cache\.directory'
    # The shapes of a checkpoint are checked, however its config says them.
    r'|model\.(similarity|temporal|generator\.denoiser|diffusion\.denoiser)\.(hidden_)?width'
    # None is what it was before: True.
    r'|model\.backbone\.freeze_patch_embedding'
    r'|val_dataloader\.batch_size|val_cfg\.(type|chunk_size)'
    r'|default_hooks\.checkpoint\.(?!save_best|rule|greater_keys|less_keys).*'
)
ABSENT = 'not set'
NESTED = (dict, list, tuple)
# Names in `default_hooks` of hooks that were once entries of `custom_hooks`.
NAMED_HOOKS = {
    'StageSwitchHook': 'stage_switch',
    'FeatureCacheHook': 'feature_cache',
    'ValidateAtStartHook': 'validate_at_start',
}


def config_differences(then: tuple[str, int], now: tuple[str, int]) -> tuple[list[str], list[str]]:
    """Compare two configs.

    The number of processes may change with the batch of each if the global batch does not.

    Args:
        then: text of the earlier config, as `Config.pretty_text` gives it, and its number of
            processes.
        now: the same of the present one.

    Returns:
        Lines 'key: then X, now Y' of the settings that change training, and of the others.
    """
    old, new = _settings(*then), _settings(*now)
    changing: list[str] = []
    harmless: list[str] = []
    for key in sorted({**old, **new}):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if before != after:
            lines = changing if _changes_training(key) else harmless
            lines.append(f'{key}: then {before!r}, now {after!r}')
    return changing, harmless


def _settings(text: str, processes: int) -> dict[str, Any]:
    """The settings under dotted keys; the batch of a process becomes the global batch."""
    config = read_values(text, ast.unparse)
    _name_hooks(config)
    settings = dict(_flat('', config))
    if 'train_dataloader.batch_size' in settings:
        batch = settings.pop('train_dataloader.batch_size')
        settings['train_dataloader.batch_size x processes'] = batch * processes
    return settings


def _name_hooks(config: dict[str, Any]) -> None:
    """Move hooks of earlier versions' `custom_hooks` to their places in `default_hooks`."""
    rest = []
    for hook in config.get('custom_hooks') or []:
        name = NAMED_HOOKS.get(hook.get('type'))
        if name is None:
            rest.append(hook)
        else:
            config.setdefault('default_hooks', {})[name] = hook
    config['custom_hooks'] = rest


def _changes_training(key: str) -> bool:
    belongs = any(key == name or key.startswith(f'{name}.') for name in TRAINING)
    return belongs and not HARMLESS.fullmatch(key)


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f'{prefix}.{key}' if prefix else str(key), item)
    elif isinstance(value, list | tuple) and any(isinstance(each, NESTED) for each in value):
        for number, item in enumerate(value):
            yield from _flat(f'{prefix}.{number}', item)
    else:
        # JSON and the command line know no tuples.
        yield prefix, list(value) if isinstance(value, tuple) else value
