"""The text of a config as data: it is read, and never run."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

NUMBERS = ('inf', 'nan')

Other = Callable[[ast.expr], Any]


def parse_config(text: str) -> Config:
    """Read a config from the text that `Config.pretty_text` wrote.

    A config file is a program. A text that comes with a gallery may be anyone's, so only values are
    read: assignments of literals and of `dict(...)`. The modules of `custom_imports` are imported.

    Args:
        text: the text.

    Raises:
        ValueError: if it holds anything else; it names the line.
        ImportError: if a module of `custom_imports` cannot be imported.
    """
    values = read_values(text)
    if values.get('custom_imports'):
        import_modules_from_strings(**values['custom_imports'])
    return Config(values)


def refuse(node: ast.expr) -> Any:
    """Refuse an expression that is no value.

    Raises:
        ValueError: always; it names the line.
    """
    raise ValueError(f'line {node.lineno} holds more than values')


def read_values(text: str, other: Other = refuse) -> dict[str, Any]:
    """Read the assignments of a text that `Config.pretty_text` wrote.

    Args:
        text: the text.
        other: what becomes of an expression that is no value, such as `torch.Size(2)`.

    Raises:
        ValueError: if it holds anything but assignments, or what `other` refuses.

    Examples:
        >>> read_values('model = dict(width=8, size=torch.Size(2))', ast.unparse)
        {'model': {'width': 8, 'size': 'torch.Size(2)'}}
    """
    values = {}
    for statement in _parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = _value(value, other)
            case _:
                raise ValueError(f'line {statement.lineno} is no assignment of a value')
    return values


def _parse(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise ValueError(f'line {error.lineno} is no Python: {error.msg}') from error


def _value(node: ast.expr, other: Other) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=keywords) if all(
            keyword.arg for keyword in keywords
        ):
            return {keyword.arg: _value(keyword.value, other) for keyword in keywords}
        case ast.Dict(keys=keys, values=values) if all(keys):
            pairs = zip(keys, values, strict=True)
            return {_value(key, other): _value(value, other) for key, value in pairs}
        case ast.List(elts=items):
            return [_value(item, other) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item, other) for item in items)
        case ast.Name(id=name) if name in NUMBERS:
            return float(name)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return other(node)
