"""Config files as a user gives them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

PACKAGE = Path(__file__).parents[1]


def configs_folder() -> Path:
    """Return the folder of this project's configs: of the wheel, or of the source tree."""
    of_wheel = PACKAGE / '.mim' / 'configs'
    return of_wheel if of_wheel.is_dir() else PACKAGE.parent / 'configs'


def read_config_file(
    path: str | os.PathLike[str], options: Mapping[str, Any] | None = None
) -> Config:
    """Read a config with everything that it inherits.

    Args:
        path: the file.
        options: settings that are replaced, under dotted keys.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be read, or an option cannot be set; it says why.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'There is no config {path}.')
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # a config is a program
        raise ValueError(f'The config {path} cannot be read: {_reason(error)}.') from error
    set_options(cfg, options or {}, path)
    return cfg


def set_options(cfg: Config, options: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Replace settings of a config.

    Args:
        cfg: the config; it is changed.
        options: settings under dotted keys.
        path: its file, for the message.

    Raises:
        ValueError: if an option cannot be set; it says why.
    """
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path} has no setting {key}: {_reason(error)}.') from error


def _reason(error: Exception) -> str:
    text = str(error).strip().rstrip('.')
    return f'{type(error).__name__}: {text}'
