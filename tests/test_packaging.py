"""Version, metadata and the paths that the documents mention."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from diffusionret_mm.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def test_version_of_metadata():
    command = [sys.executable, 'setup.py', '--quiet', '--name', '--version']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['diffusionret_mm', __version__]


def test_version_in_changelog():
    text = (ROOT / 'CHANGELOG.md').read_text(encoding='utf-8')
    assert re.search(rf'\b{re.escape(__version__)}\b', text)
    assert '## [Unreleased]' in text


@pytest.mark.parametrize('document', ['README.md', 'CHANGELOG.md'])
def test_mentioned_paths_exist(document):
    file = ROOT / document
    if not file.is_file():
        pytest.skip(f'{document} is not part of this source tree')
    text = file.read_text(encoding='utf-8')
    mentioned = re.findall(r'(?<![\w/.-])(?:configs|tools)/[\w./-]+\.(?:py|sh)\b', text)
    missing = sorted({path for path in mentioned if not (ROOT / path).is_file()})
    assert not missing, f'{document} mentions files that do not exist: {missing}'


def test_ci_runs_the_commands_of_the_readme():
    readme = (ROOT / 'README.md').read_text(encoding='utf-8')
    commands = readme.partition('## Tests\n\n```bash\n')[2].partition('```')[0].splitlines()
    assert len(commands) == 2
    script = (ROOT / '.ci' / 'run').read_text(encoding='utf-8').splitlines()
    assert script[-2:] == commands
