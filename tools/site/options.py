"""Every class that a config can name, with its options: from signatures and docstrings."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import mmaction.registry
from griffe import Docstring, DocstringSectionKind
from mmengine.registry import Registry

PACKAGE = 'diffusionret_mm.'
REGISTRIES = {
    'MODELS': 'Models and their parts',
    'DATASETS': 'Data sets',
    'TRANSFORMS': 'Transforms',
    'DATA_SAMPLERS': 'Samplers',
    'METRICS': 'Metrics',
    'HOOKS': 'Hooks',
    'LOOPS': 'Loops',
    'OPTIMIZERS': 'Optimizers',
    'OPTIM_WRAPPER_CONSTRUCTORS': 'Groups of parameters',
    'PARAM_SCHEDULERS': 'Schedules',
    'LOG_PROCESSORS': 'Logging',
}


def registered() -> dict[str, list[type]]:
    """Return the classes of this package by the registry that they are in."""
    registries = {
        name: value
        for name, value in vars(mmaction.registry).items()
        if isinstance(value, Registry)
    }
    return {
        name: found
        for name, registry in registries.items()
        if (found := sorted({*filter(_is_ours, registry.module_dict.values())}, key=_name))
    }


def _is_ours(found: Any) -> bool:
    return inspect.isclass(found) and found.__module__.startswith(PACKAGE)


def _name(found: type) -> str:
    return found.__name__


@cache
def _sections(owner: type) -> tuple[str, dict[str, str]]:
    """Return the first paragraph of a class's docstring, and what it says of each argument."""
    text = inspect.cleandoc(owner.__doc__ or '')
    first, arguments = '', {}
    for section in Docstring(text).parse('google', warnings=False):
        if section.kind is DocstringSectionKind.text and not first:
            first = section.value.partition('\n\n')[0]
        elif section.kind is DocstringSectionKind.parameters:
            arguments = {entry.name.strip('*'): entry.description for entry in section.value}
    return first, arguments


def summary_of(owner: type) -> str:
    """Return the first paragraph of what the docstring of a class says.

    Args:
        owner: the class.
    """
    return _sections(owner)[0]


def options_of(owner: type) -> dict[str, tuple[inspect.Parameter, str]]:
    """Return the options of a class: each with its parameter, and what the docstrings say of it.

    Args:
        owner: a registered class. What its own docstring leaves out is looked up in its bases.
    """
    found: dict[str, tuple[inspect.Parameter, str]] = {}
    for base in owner.__mro__:
        init = vars(base).get('__init__')
        if init is None or not base.__module__.startswith(PACKAGE):
            continue
        parameters = [*inspect.signature(init).parameters.values()][1:]
        for parameter in parameters:
            if (
                parameter.kind is parameter.VAR_POSITIONAL
                or parameter.kind is parameter.VAR_KEYWORD
            ):
                continue
            found.setdefault(parameter.name, (parameter, _described(owner, parameter.name)))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
    return found


def _described(owner: type, name: str) -> str:
    texts = (_sections(base)[1].get(name, '') for base in owner.__mro__[:-1])
    return next((text for text in texts if text), '')


def write_page() -> str:
    """Return the page of all options, as markdown."""
    parts = [
        '# Config options',
        'Every class of this package that a config can name by its `type`, with the options that '
        'stand beside the `type`. An option without a default must be given. Options of base '
        'classes of other packages are not listed.',
    ]
    for registry, classes in registered().items():
        parts += [f'## {REGISTRIES[registry]}', f'Registry `{registry}`.']
        for owner in classes:
            parts += [f'### {owner.__name__}', _flat(summary_of(owner)), _link(owner)]
            parts += [_table(owner)] if options_of(owner) else []
    return '\n\n'.join(parts) + '\n'


def _link(owner: type) -> str:
    return f'[In the reference][{owner.__module__}.{owner.__qualname__}]'


def _table(owner: type) -> str:
    rows = ['| option | default | |', '|---|---|---|']
    for name, (parameter, text) in options_of(owner).items():
        missing = parameter.default is parameter.empty
        default = '' if missing else f'`{_cell(repr(parameter.default))}`'
        rows.append(f'| `{name}` | {default} | {_cell(text)} |')
    return '\n'.join(rows)


def _cell(text: str) -> str:
    return _flat(text).replace('|', '\\|')


def _flat(text: str) -> str:
    return ' '.join(text.split())
