"""The annotations fit together, as far as mypy can tell; `pyproject.toml` says how strictly."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STRICT = ('evaluation.*', 'features.*', 'storage.*', 'structures')
IGNORE = re.compile(r'# type: ignore\[[a-z-]+\]  # \w+')


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason='the types of other packages differ on other Pythons'
)
def test_types_fit():
    done = subprocess.run(
        [sys.executable, '-m', 'mypy'], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_passes_between_rooms_is_checked_strictly():
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    (strict,) = (
        part for part in text.split('[[tool.mypy.overrides]]') if 'disallow_untyped_defs' in part
    )
    assert re.findall(r'"diffusionret_mm\.([\w.*]+)"', strict) == list(STRICT)
    assert 'ignore_errors' not in text


def test_what_is_ignored_has_a_name_and_a_reason():
    lines = [
        line
        for path in sorted((ROOT / 'diffusionret_mm').rglob('*.py'))
        for line in path.read_text(encoding='utf-8').splitlines()
        if 'type: ignore' in line
    ]
    assert [line for line in lines if not IGNORE.search(line)] == []
