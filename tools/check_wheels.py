"""Ask the package index what can be installed where: python tools/check_wheels.py."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import setuptools  # noqa: F401  it provides distutils from Python 3.12 on

# isort: split
from distutils.core import run_setup

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import format_markdown_table, label
from diffusionret_mm.storage.progress import progress_bar

ROOT = Path(__file__).resolve().parents[1]
JSON = 'application/vnd.pypi.simple.v1+json'  # PEP 691
TIMEOUT = 60  # seconds for the page of one package
GLIBC = 28  # minor version: of glibc 2.28, which Debian 10, RHEL 8 and later ones have
MACOS = (14, 0)


@dataclass(frozen=True)
class Platform:
    """A system to install on.

    Args:
        name: what the table calls it.
        tags: platform tags of the wheels that it takes, the best first.
        markers: values of the environment markers that depend on the system.
    """

    name: str
    tags: tuple[str, ...]
    markers: dict[str, str]


@dataclass(frozen=True)
class File:
    """A file of a package on the index.

    Args:
        version: the release that it belongs to.
        requires_python: versions of Python that it says it runs on.
        tags: tags of a wheel; None: it is a source distribution.
    """

    version: Version
    requires_python: SpecifierSet
    tags: frozenset[Tag] | None


def linux_tags(machine: str) -> tuple[str, ...]:
    """Return the platform tags of Linux with glibc 2.28 on a machine such as 'x86_64'."""
    older = {17: 'manylinux2014', 12: 'manylinux2010', 5: 'manylinux1'}
    tags = []
    for minor in range(GLIBC, 4, -1):
        tags.append(f'manylinux_2_{minor}_{machine}')
        if minor in older:
            tags.append(f'{older[minor]}_{machine}')
    return tuple(tags)


def make_platform(name: str, tags: Sequence[str], *markers: str) -> Platform:
    """Return a system; its markers stand in the order of MARKERS."""
    return Platform(name, tuple(tags), dict(zip(MARKERS, markers, strict=True)))


MARKERS = ('sys_platform', 'platform_system', 'platform_machine', 'os_name')
MAC_TAGS = tuple(mac_platforms(MACOS, 'arm64'))
PLATFORMS = (
    make_platform('Linux x86-64', linux_tags('x86_64'), 'linux', 'Linux', 'x86_64', 'posix'),
    make_platform('Linux aarch64', linux_tags('aarch64'), 'linux', 'Linux', 'aarch64', 'posix'),
    make_platform('macOS arm64', MAC_TAGS, 'darwin', 'Darwin', 'arm64', 'posix'),
    make_platform('Windows x86-64', ['win_amd64'], 'win32', 'Windows', 'AMD64', 'nt'),
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Ask the package index on which systems the requirements have wheels. Nothing '
        'is installed. Asked about are the direct requirements, not those of the requirements.'
    )
    parser.add_argument(
        '--extras',
        nargs='*',
        default=[],
        metavar='EXTRA',
        help='extras of setup.py to ask for, too',
    )
    parser.add_argument('--index-url', metavar='URL', help='package index (default: that of pip)')
    return parser.parse_args()


def read_project(setup_file: Path) -> Any:
    """Return the distribution that a setup.py describes, which is run but builds nothing."""
    return run_setup(str(setup_file), stop_after='init')


def requirements_of(project: Any, extras: Iterable[str]) -> list[Requirement]:
    """Return the requirements of a project and of some extras, each once.

    Raises:
        ValueError: if there is no such extra.
    """
    texts = list(project.install_requires)
    for extra in extras:
        if extra not in project.extras_require:
            known = ', '.join(project.extras_require)
            raise ValueError(f'setup.py has no extra {extra!r}; it has {known}.')
        texts += project.extras_require[extra]
    return [Requirement(text) for text in dict.fromkeys(texts)]


def pythons_of(project: Any) -> list[str]:
    """Return the minor versions of Python 3 that a project runs on: '3.10' and so on."""
    wanted = SpecifierSet(str(project.python_requires))
    return [f'3.{minor}' for minor in range(100) if wanted.contains(f'3.{minor}')]


def index_of_pip() -> str:
    """Return the URL of the index that pip asks, by its configuration or by default.

    Raises:
        ValueError: if pip does not say.
    """
    command = [sys.executable, '-m', 'pip', 'install', '--help']
    wide = {**os.environ, 'COLUMNS': '1000'}  # so that no line is broken
    done = subprocess.run(command, capture_output=True, text=True, env=wide)
    found = re.search(r'Package Index \(default:? (\S+?)\)', done.stdout)
    if found is None:
        raise ValueError('pip does not say which index it asks; name one by --index-url.')
    return found[1]


def fetch_page(index_url: str, name: str) -> dict[str, Any]:
    """Return what the index says about a package (PEP 691).

    Raises:
        ValueError: if the index wants a password, or does not answer in JSON.
        OSError: if it does not answer, or does not have the package.
    """
    if '@' in urlsplit(index_url).netloc:
        raise ValueError('The index wants a password; name one by --index-url that wants none.')
    url = f'{index_url.rstrip("/")}/{canonicalize_name(name)}/'
    try:
        with urlopen(Request(url, headers=dict(Accept=JSON)), timeout=TIMEOUT) as answer:
            kind, body = answer.headers.get_content_type(), answer.read()
    except OSError as error:
        raise OSError(f'The index gave nothing about {name}: {error}') from error
    if kind != JSON:
        raise ValueError(f'The index answers with {kind} about {name}; {JSON} is needed.')
    return json.loads(body)


def read_files(page: dict[str, Any]) -> list[File]:
    """Return the wheels and source distributions of a page that were not withdrawn."""
    files = (_read_file(entry) for entry in page['files'] if not entry.get('yanked'))
    return [file for file in files if file is not None]


def _read_file(entry: dict[str, Any]) -> File | None:
    """Read an entry; None: a file, such as an egg, that pip does not install either."""
    name = entry['filename']
    try:
        pythons = SpecifierSet(entry.get('requires-python') or '')
        if name.endswith('.whl'):
            _, version, _, tags = parse_wheel_filename(name)
            return File(version, pythons, tags)
        _, version = parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidSpecifier):
        return None
    return File(version, pythons, None)


def tags_of(python: str, platform: Platform) -> set[Tag]:
    """Return the tags of the wheels that a CPython ('3.11') takes on a system."""
    version = tuple(int(part) for part in python.split('.'))
    interpreter = 'cp' + python.replace('.', '')
    own = cpython_tags(version, abis=[interpreter], platforms=platform.tags)
    return {*own, *compatible_tags(version, interpreter, platform.tags)}


def verdict(
    files: Sequence[File], requirement: Requirement, python: str, platform: Platform
) -> str:
    """Tell what pip would install, given the files of a package.

    Args:
        files: from `read_files`.
        requirement: its range of versions counts; pre-releases only where it names one, or
            where there is nothing else.
        python: such as '3.11'.
        platform: the system.

    Returns:
        'any': a wheel for every system; 'wheel': one for this system; 'source': it must be built;
        'none': nothing fits; 'not wanted': by its marker. A version follows if it is not the
        newest one.
    """
    markers = dict(platform.markers, python_version=python, python_full_version=f'{python}.0')
    if requirement.marker is not None and not requirement.marker.evaluate(markers):
        return 'not wanted'
    # Bounds such as '>=3.8.1' are about the last patch of a minor version.
    running = [file for file in files if file.requires_python.contains(f'{python}.99')]
    fitting = _in_range(running, requirement)
    tags = tags_of(python, platform)
    usable = [file for file in running if file.tags is None or file.tags & tags]
    usable = _in_range(usable, requirement)
    if not usable:
        return 'none'
    best = max(file.version for file in usable)
    wheels = [file.tags for file in usable if file.version == best and file.tags is not None]
    word = 'source'
    if wheels:
        word = 'any' if any(tag.platform == 'any' for tags in wheels for tag in tags) else 'wheel'
    return word if best == max(file.version for file in fitting) else f'{word} of {best}'


def _in_range(files: Sequence[File], requirement: Requirement) -> list[File]:
    """Return the files of the versions that pip takes into account."""
    versions = {*requirement.specifier.filter({file.version for file in files})}
    return [file for file in files if file.version in versions]


def summarise(verdicts: dict[str, str]) -> str:
    """Return a cell of the table: one word, or one per range of Python versions."""
    if len({*verdicts.values()}) == 1:
        return next(iter(verdicts.values()))
    runs: list[tuple[str, list[str]]] = []
    for python, word in verdicts.items():
        if runs and runs[-1][0] == word:
            runs[-1][1].append(python)
        else:
            runs.append((word, [python]))
    return ', '.join(f'{_span(pythons)}: {word}' for word, pythons in runs)


def _span(pythons: Sequence[str]) -> str:
    return pythons[0] if len(pythons) == 1 else f'{pythons[0]} to {pythons[-1]}'


def make_table(
    requirements: Sequence[Requirement], pythons: Sequence[str], index_url: str
) -> list[list[str]]:
    """Ask about every requirement; return a row for each: its text, then a cell per system."""
    rows = []
    with progress_bar(len(requirements), 'requirements', 'package') as bar:
        for requirement in requirements:
            files = read_files(fetch_page(index_url, requirement.name))
            cells = [
                summarise(
                    {python: verdict(files, requirement, python, system) for python in pythons}
                )
                for system in PLATFORMS
            ]
            rows.append([f'`{requirement}`', *cells])
            bar.update(1)
    return rows


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    project = read_project(ROOT / 'setup.py')
    requirements = requirements_of(project, args.extras)
    rows = make_table(requirements, pythons_of(project), args.index_url or index_of_pip())
    columns = [label('requirement'), *(label(platform.name) for platform in PLATFORMS)]
    print(format_markdown_table(columns, rows), end='')


if __name__ == '__main__':
    main()
