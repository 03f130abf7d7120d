"""Build and check what is released: python tools/release.py."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from diffusionret_mm.apis.user_errors import stop_with_message

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'diffusionret_mm'
SHOW_VERSION = f'import {PACKAGE}; print({PACKAGE}.__version__)'
LAST_LINES = 20  # of a command that failed


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Build the source distribution and the wheel, install the wheel into a new '
        'environment and try it there. Nothing is uploaded. Needs the extra "dev".'
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'dist', metavar='DIR')
    return parser.parse_args()


def read_version(root: Path) -> str:
    """Return the version in version.py."""
    return runpy.run_path(str(root / PACKAGE / 'version.py'))['__version__']


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Run a command and return what it prints.

    It does not get PYTHONPATH and the like: pip takes a package that it finds there for installed.

    Raises:
        ValueError: if it fails; its last lines are told.
    """
    environment = {key: text for key, text in os.environ.items() if not key.startswith('PYTHON')}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        said = '\n'.join(done.stdout.splitlines()[-LAST_LINES:])
        text = ' '.join(str(part) for part in command)
        raise ValueError(f'This failed with status {done.returncode}: {text}\n{said}')
    return done.stdout


def refuse_changes(root: Path) -> None:
    """Refuse a checkout with changes that are not committed, new files included.

    Raises:
        ValueError: if there are any.
    """
    changed = run(['git', 'status', '--porcelain'], root).splitlines()
    if changed:
        listed = '\n'.join(changed[:LAST_LINES])
        raise ValueError(f'Commit or remove {len(changed)} changed or new files first:\n{listed}')


def refuse_other_versions(root: Path, version: str) -> None:
    """Refuse a version that CHANGELOG.md or CITATION.cff does not know.

    Raises:
        ValueError: if the changelog has no section of the version or nothing in it, or the
            citation is of another version.
    """
    changelog = (root / 'CHANGELOG.md').read_text(encoding='utf-8')
    section = re.search(
        rf'^## \[{re.escape(version)}\].*\n((?:(?!## ).*\n?)*)', changelog, re.MULTILINE
    )
    if section is None or not section[1].strip():
        raise ValueError(f'CHANGELOG.md says nothing under "## [{version}]"; write that first.')
    citation = (root / 'CITATION.cff').read_text(encoding='utf-8')
    if f'\nversion: {version}\n' not in citation:
        raise ValueError(f'CITATION.cff is not of version {version}; change its line "version:".')


def build(root: Path, out: Path, version: str) -> tuple[Path, Path]:
    """Build both distributions of a version.

    Args:
        root: the checkout.
        out: folder to put them into; it may hold those of other versions.
        version: that of the checkout.

    Returns:
        The source distribution, and the wheel, which is made from it.

    Raises:
        ValueError: if the folder has files of this version, or building fails.
    """
    source = out / f'{PACKAGE}-{version}.tar.gz'
    wheels = f'{PACKAGE}-{version}-*.whl'
    there = [path for path in (source, *out.glob(wheels)) if path.exists()]
    if there:
        raise ValueError(f'{there[0]} exists already; remove it, or raise the version.')
    run([sys.executable, '-m', 'build', '--outdir', out.resolve(), root], root)
    built = [*out.glob(wheels)]
    if not source.exists() or len(built) != 1:
        names = sorted(path.name for path in out.iterdir())
        raise ValueError(f'{out} should have {source.name} and a wheel; it has {names}.')
    return source, built[0]


def check_wheel(wheel: Path, version: str) -> None:
    """Install a wheel into a new environment, with what it requires, and try it there.

    Raises:
        ValueError: if it cannot be installed, imported or started, or is of another version.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Outside of the checkout, whose package would be imported in place of the wheel's.
        here = Path(folder)
        venv.create(here / 'environment', with_pip=True)
        programs = here / 'environment' / ('Scripts' if sys.platform == 'win32' else 'bin')
        run([programs / 'python', '-m', 'pip', 'install', wheel.resolve()], here)
        # Other packages may warn while they are imported.
        said = run([programs / 'python', '-c', SHOW_VERSION], here).split()[-1]
        if said != version:
            raise ValueError(f'{wheel} says that it is version {said}, not {version}.')
        run([programs / 'text-video', '--help'], here)


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    refuse_changes(ROOT)
    version = read_version(ROOT)
    refuse_other_versions(ROOT, version)
    source, wheel = build(ROOT, args.out, version)
    check_wheel(wheel, version)
    print(f'{source}\n{wheel}\nThe wheel installs, imports and starts: git tag v{version}')


if __name__ == '__main__':
    main()
