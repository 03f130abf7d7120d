"""The command lines of the project, read from their parsers."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[2]
TITLES = {
    'text-video': 'The installed command',
    'tools': 'Tools',
    'data': 'Data sets',
    'benchmarks': 'Benchmarks',
}
FOLDERS = ('.', 'data', 'benchmarks')  # of tools/


class _Caught(BaseException):
    """Carries a parser out of the `main` of a script; no handler of errors takes it."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def _catch(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
    raise _Caught(parser)


def load_script(path: Path) -> ModuleType:
    """Import a script, with the folder it lies in on the path while it loads.

    Args:
        path: the script.
    """
    spec = importlib.util.spec_from_file_location(f'command_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with patch.object(sys, 'path', [str(path.parent), *sys.path]):
        spec.loader.exec_module(module)
    return module


def catch_parser(module: ModuleType, *arguments: Any) -> argparse.ArgumentParser:
    """Run the `main` of a command up to where it parses its command line.

    Args:
        module: has a function `main`.
        *arguments: of that function.

    Returns:
        The parser.

    Raises:
        ValueError: if `main` parses nothing.
    """
    methods = ('parse_args', 'parse_intermixed_args')
    with (
        patch.object(argparse.ArgumentParser, methods[0], _catch),
        patch.object(argparse.ArgumentParser, methods[1], _catch),
    ):
        try:
            module.main(*arguments)
        except _Caught as caught:
            return caught.parser
    raise ValueError(f'{module.__name__} has no command line')


def scripts() -> list[Path]:
    """Return the scripts of `tools/` that have a command line, in order."""
    tools = ROOT / 'tools'
    found = (path for folder in FOLDERS for path in sorted((tools / folder).glob('*.py')))
    return [path for path in found if 'parse_args()' in path.read_text(encoding='utf-8')]


def parser_of(command: str) -> argparse.ArgumentParser:
    """Return the parser of a command.

    Args:
        command: `tools/train.py` and the like, or `text-video index` and the like.

    Raises:
        ValueError: if it has no command line.
    """
    room, _, name = command.partition(' ')
    if room == 'text-video':
        module = import_module(f'diffusionret_mm.commands.{name}' if name else COMMANDS)
        return catch_parser(module, [], command) if name else catch_parser(module, ['--help'])
    installed = ROOT / 'diffusionret_mm/commands' / Path(command).name
    if room.count('/') == 1 and installed.is_file():  # a wrapper
        return catch_parser(import_module(f'diffusionret_mm.commands.{installed.stem}'), [], room)
    parser = catch_parser(load_script(ROOT / command))
    parser.prog = command
    return parser


COMMANDS = 'diffusionret_mm.commands.text_video'


def commands() -> dict[str, list[str]]:
    """Return the names of all commands, by the group that the site shows them in."""
    groups: dict[str, list[str]] = {name: [] for name in TITLES}
    installed = import_module(COMMANDS).COMMANDS
    groups['text-video'] = [f'text-video {name}' for name in installed]
    for path in scripts():
        name = path.relative_to(ROOT).as_posix()
        groups[path.parent.name].append(name)
    return groups


def write_page(group: str, names: list[str]) -> str:
    """Return the page of a group of commands, as markdown.

    Args:
        group: one of `TITLES`.
        names: of its commands.
    """
    parts = [f'# {TITLES[group]}', 'Written from the parsers of the commands.']
    for name in names:
        parser = parser_of(name)
        parts += [f'## {name}', *_describe(parser, name)]
        for part, child in _children(parser).items():
            parts += [f'### {Path(name).stem} {part}', *_describe(child, f'{name} {part}')]
    return '\n\n'.join(parts) + '\n'


def _describe(parser: argparse.ArgumentParser, name: str) -> Iterator[str]:
    parser.prog = name if name.startswith('text-video') else f'python {name}'
    yield _escape(' '.join((parser.description or '').split()))
    prefix = 'usage: '
    lines = parser.format_usage().rstrip().splitlines()
    usage = '\n'.join(line[len(prefix) :] for line in lines)
    yield f'```text\n{usage}\n```'
    rows = [_row(parser, action) for action in shown(parser)]
    if rows:
        yield '\n'.join(['| argument | |', '|---|---|', *rows])


def shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser that its help shows, without `--help` itself.

    Args:
        parser: of a command.
    """
    hidden = (argparse._HelpAction, argparse._SubParsersAction)
    return [
        action
        for action in parser._actions
        if action.help is not argparse.SUPPRESS and not isinstance(action, hidden)
    ]


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()
    names = ', '.join(action.option_strings)
    value = formatter._format_args(action, formatter._get_default_metavar_for_optional(action))
    if not names:
        value = formatter._format_args(
            action, formatter._get_default_metavar_for_positional(action)
        )
    text = formatter._expand_help(action) if action.help else ''
    default = action.default
    if isinstance(default, (str, int, float, Path)) and default is not False:
        stated = 'default' in text
        text += '' if stated else f' (default: {default})'
    return f'| `{_cell(f"{names} {value}".strip())}` | {_escape(_cell(text.strip()))} |'


def _cell(text: str) -> str:
    return ' '.join(text.split()).replace('|', '\\|')


def _escape(text: str) -> str:
    """Let no character of a plain text count as markup."""
    for mark in '*_<[`':
        text = text.replace(mark, f'&#{ord(mark)};')
    return text


def _children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    kinds = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return next((dict(action.choices) for action in kinds), {})
