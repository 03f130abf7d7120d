"""The command `text-video`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from diffusionret_mm.version import __version__

COMMANDS = dict(
    index='index new and changed videos into a gallery',
    search='search a gallery',
    demo='serve a web page that searches a gallery',
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command.

    Args:
        arguments: its name and its command line; None: those of this process.
    """
    name, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ['--help']
    if name not in COMMANDS:
        _explain([name])
    command = import_module(f'diffusionret_mm.commands.{name}')
    command.main(rest, f'text-video {name}')


def _explain(arguments: Sequence[str]) -> None:
    """End with the help, the version, or what is wrong with the name of a command."""
    parser = argparse.ArgumentParser(
        prog='text-video',
        description='Search videos by sentences.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='\n'.join(['commands:', *(f'  {name:8}{does}' for name, does in COMMANDS.items())]),
    )
    parser.add_argument('--version', action='version', version=__version__)
    parser.add_argument('command', choices=[*COMMANDS], help='what to do')
    parser.parse_args(arguments)
