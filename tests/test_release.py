"""The parts of tools/release.py; git, build, pip and the new environment are stand-ins."""

import subprocess
import sys
from pathlib import Path

import pytest
from tool_modules import load_tool

from diffusionret_mm.version import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope='module')
def tool():
    return load_tool('release')


@pytest.fixture
def checkout(tmp_path):
    """A folder with what is read of a checkout."""
    root = tmp_path / 'checkout'
    (root / 'diffusionret_mm').mkdir(parents=True)
    (root / 'diffusionret_mm/version.py').write_text("__version__ = '1.2.0'\n")
    (root / 'CHANGELOG.md').write_text(
        '## [Unreleased]\n\n- More.\n\n## [1.2.0] - 2030-01-01\n\n- All.\n\n## [1.1.0]\n'
    )
    (root / 'CITATION.cff').write_text('cff-version: 1.2.0\nversion: 1.2.0\n')
    return root


class Commands:
    """Stands in for `run`: keeps the commands, and does what is asked of it."""

    def __init__(self):
        self.given = []
        self.says = '1.2.0'
        self.changed = ''
        self.builds = ['diffusionret_mm-1.2.0.tar.gz', 'diffusionret_mm-1.2.0-py3-none-any.whl']

    def __call__(self, command, cwd):
        command = [str(part) for part in command]
        self.given.append((command, cwd))
        if command[0] == 'git':
            return self.changed
        if command[1:3] == ['-m', 'build']:
            for name in self.builds:
                Path(command[4], name).touch()
        return f'a warning\n{self.says}\n' if '-c' in command else ''


@pytest.fixture
def commands(tool, monkeypatch):
    commands = Commands()
    monkeypatch.setattr(tool, 'run', commands)
    monkeypatch.setattr(tool.venv, 'create', lambda folder, with_pip: Path(folder).mkdir())
    return commands


def test_a_command_runs_in_its_folder_without_paths_of_this_python(tool, tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    code = 'import os; print(os.getcwd(), "PYTHONPATH" in os.environ, "PATH" in os.environ)'
    said = tool.run([sys.executable, '-S', '-c', code], tmp_path)
    assert said == f'{tmp_path} False True\n'


def test_a_command_that_fails_is_told_with_its_last_lines(tool, tmp_path):
    code = 'import sys; print(*range(50), sep="\\n"); sys.exit(3)'
    with pytest.raises(ValueError, match='status 3') as caught:
        tool.run([sys.executable, '-S', '-c', code], tmp_path)
    assert str(caught.value).endswith('\n48\n49')
    assert '\n29\n' not in str(caught.value)


def test_new_and_changed_files_are_refused(tool, tmp_path):
    subprocess.run(['git', 'init', '--quiet', tmp_path], check=True)
    tool.refuse_changes(tmp_path)
    (tmp_path / 'new.py').touch()
    with pytest.raises(ValueError, match=r'(?s)1 changed or new files first:.*new\.py'):
        tool.refuse_changes(tmp_path)


def test_a_version_that_is_written_down_passes(tool, checkout):
    assert tool.read_version(checkout) == '1.2.0'
    tool.refuse_other_versions(checkout, '1.2.0')


def test_the_version_of_this_checkout_passes(tool):
    tool.refuse_other_versions(ROOT, tool.read_version(ROOT))
    assert tool.read_version(ROOT) == __version__


@pytest.mark.parametrize('version', ['1.3.0', '1.2', '1.1.0'])
def test_a_version_without_changes_is_refused(tool, checkout, version):
    with pytest.raises(ValueError, match=r'CHANGELOG.md says nothing under "## \['):
        tool.refuse_other_versions(checkout, version)


def test_a_citation_of_another_version_is_refused(tool, checkout):
    (checkout / 'CITATION.cff').write_text('cff-version: 1.2.0\nversion: 1.1.0\n')
    with pytest.raises(ValueError, match='CITATION.cff is not of version 1.2.0'):
        tool.refuse_other_versions(checkout, '1.2.0')


def test_both_distributions_are_built(tool, commands, checkout, tmp_path):
    (tmp_path / 'diffusionret_mm-1.2.0.post1-py3-none-any.whl').touch()  # of another version
    source, wheel = tool.build(checkout, tmp_path, '1.2.0')
    assert [source.name, wheel.name] == commands.builds
    command = [sys.executable, '-m', 'build', '--outdir', str(tmp_path), str(checkout)]
    assert commands.given == [(command, checkout)]


def test_a_distribution_that_is_there_is_not_overwritten(tool, commands, checkout, tmp_path):
    (tmp_path / commands.builds[0]).touch()
    with pytest.raises(ValueError, match='exists already'):
        tool.build(checkout, tmp_path, '1.2.0')
    assert commands.given == []


@pytest.mark.parametrize('missing', [0, 1])
def test_a_distribution_that_is_not_built_is_missed(tool, commands, checkout, tmp_path, missing):
    del commands.builds[missing]
    with pytest.raises(ValueError, match='should have diffusionret_mm-1.2.0.tar.gz and a wheel'):
        tool.build(checkout, tmp_path, '1.2.0')


def test_a_wheel_is_tried_in_an_environment_of_its_own(tool, commands, tmp_path):
    wheel = tmp_path / commands.builds[1]
    tool.check_wheel(wheel, '1.2.0')
    (install, here), (show, there), (start, elsewhere) = commands.given
    assert here == there == elsewhere
    assert here not in (tmp_path, ROOT)
    assert not here.exists()
    assert install[1:] == ['-m', 'pip', 'install', str(wheel)]
    assert show[1:] == ['-c', tool.SHOW_VERSION]
    assert start[1:] == ['--help']
    assert {Path(command[0]).parents[1] for command in (install, show, start)} == {
        here / 'environment'
    }


def test_a_wheel_of_another_version_is_refused(tool, commands, tmp_path):
    commands.says = '1.1.0'
    with pytest.raises(ValueError, match='says that it is version 1.1.0, not 1.2.0'):
        tool.check_wheel(tmp_path / 'a.whl', '1.2.0')


@pytest.fixture
def release(tool, checkout, monkeypatch):
    """A function that releases the folder."""
    monkeypatch.setattr(tool, 'ROOT', checkout)
    out = checkout / 'dist'
    out.mkdir()
    monkeypatch.setattr('sys.argv', ['release.py', '--out', str(out)])
    return tool.main


def test_a_release_ends_with_the_files_and_the_tag(release, commands, capsys):
    release()
    printed = capsys.readouterr().out
    assert all(name in printed for name in commands.builds)
    assert printed.endswith('git tag v1.2.0\n')


def test_a_release_with_changes_ends_with_a_sentence(release, commands, capsys):
    commands.changed = ' M setup.py\n'
    with pytest.raises(SystemExit, match='2'):
        release()
    assert 'Commit or remove 1 changed or new files first' in capsys.readouterr().err
    assert len(commands.given) == 1
