"""Version, metadata and the paths that the documents mention."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

from diffusionret_mm.apis.model_choice import DEFAULT_CONFIG
from diffusionret_mm.engine import config_files
from diffusionret_mm.version import __version__

ROOT = Path(__file__).resolve().parents[1]


def test_version_of_metadata():
    command = [sys.executable, 'setup.py', '--quiet', '--name', '--version']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ['diffusionret_mm', __version__]


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """What goes into a wheel, and the metadata, in one folder."""
    folder = tmp_path_factory.mktemp('built')
    command = [sys.executable, 'setup.py', '--quiet', 'build_py', '--build-lib', folder]
    command += ['egg_info', '--egg-base', folder]
    subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return folder


def test_configs_travel_in_the_wheel(built, monkeypatch):
    package = built / 'diffusionret_mm'
    monkeypatch.setattr(config_files, 'PACKAGE', package)
    configs = config_files.configs_folder()
    assert configs == package / '.mim/configs'
    found = {str(path.relative_to(configs)) for path in configs.rglob('*.*')}
    source = ROOT / 'configs'
    expected = {str(path.relative_to(source)) for path in source.rglob('*.*')}
    assert found == {name for name in expected if '__pycache__' not in name}
    cfg = Config.fromfile(configs / DEFAULT_CONFIG)
    assert cfg.model.backbone.arch == 'PE-Core-B-16'
    index = yaml.safe_load((package / '.mim/model-index.yml').read_text())
    assert all((package / '.mim' / path).is_file() for path in index['Import'])
    assert (package / 'commands/text_video.py').is_file()


def test_without_a_wheel_configs_are_those_of_the_source_tree():
    assert config_files.configs_folder() == ROOT / 'configs'


def test_the_wheel_installs_a_command(built):
    text = (built / 'diffusionret_mm.egg-info/entry_points.txt').read_text()
    name, target = text.splitlines()[1].split(' = ')
    assert name == 'text-video'
    module, function = target.split(':')
    assert callable(getattr(import_module(module), function))


def test_the_style_and_script_of_the_page_travel_in_the_wheel(built):
    static = Path('diffusionret_mm/demo/static')
    names = {path.name for path in (ROOT / static).iterdir()}
    assert {path.name for path in (built / static).iterdir()} == names == {'page.css', 'page.js'}


def test_type_checkers_read_the_package(built):
    assert (built / 'diffusionret_mm/py.typed').is_file()


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


def test_ci_runs_the_commands_of_the_guide():
    guide = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    commands = guide.partition('## Tests\n\n```bash\n')[2].partition('```')[0].splitlines()
    assert len(commands) == 2
    script = (ROOT / '.ci' / 'run').read_text(encoding='utf-8').splitlines()
    assert script[-2:] == commands
