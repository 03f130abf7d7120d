"""Pages of the reference: one for each room of the package, and for each folder of a room."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'diffusionret_mm'


def rooms() -> list[str]:
    """Return the dotted names that have a page, in alphabetical order."""
    found = [path.parent for path in PACKAGE.rglob('*/__init__.py')]
    found += [path.with_suffix('') for path in PACKAGE.glob('[!_]*.py')]
    return sorted('.'.join(path.relative_to(PACKAGE).parts) for path in found)


def write_page(room: str) -> str:
    """Return the page of a room: its own words, and each of its modules.

    Args:
        room: a dotted name below the package.
    """
    path = PACKAGE.joinpath(*room.split('.'))
    own = '\n    options:\n      members: false' if path.is_dir() else ''
    names = [room, *(f'{room}.{file.stem}' for file in sorted(path.glob('[!_]*.py')))]
    first, *others = [f'::: diffusionret_mm.{name}' for name in names]
    return '\n\n'.join([f'# {room}', first + own, *others]) + '\n'
