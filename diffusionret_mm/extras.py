"""Packages that only some users need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def import_extra(module: str, extra: str) -> ModuleType:
    """Import a module that an extra of this project installs.

    Args:
        module: name of the module.
        extra: name of the extra in `setup.py`.

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: if it is not installed; it names the command that installs it.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition('.')[0]:  # a defect of the package, not its absence
            raise
        raise ModuleNotFoundError(
            f'{module} is not installed. Install what this needs by '
            f'`pip install "diffusionret_mm[{extra}]"`, or `pip install -e ".[{extra}]"` '
            'in the folder of the project.',
            name=error.name,
        ) from None
