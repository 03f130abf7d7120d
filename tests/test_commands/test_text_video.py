"""The command `text-video`, which does what the tools do."""

import json
import sys

import pytest

from diffusionret_mm.commands.text_video import main
from diffusionret_mm.version import __version__

pytest.importorskip('lance')
TEXT = 'a red circle moves left'


@pytest.fixture
def run(capsys):
    """A function that runs a command; returns status, what was printed, and errors."""

    def run_command(*arguments):
        capsys.readouterr()
        try:
            main([*map(str, arguments)])
            status = 0
        except SystemExit as ended:
            status = ended.code
        return (status, *capsys.readouterr())

    return run_command


def test_index_then_search(run, new_inferencer, clips, tmp_path):
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'
    cpu = '--device', 'cpu'
    assert run('index', clips(3), tmp_path / 'gallery', *model, *cpu)[0] == 0
    status, out, _ = run('search', tmp_path / 'gallery', TEXT, '--json', *cpu)
    assert status == 0
    assert len(json.loads(out)['hits']) == 3
    for name, order in (('index', 'VIDEOS... GALLERY'), ('demo', 'GALLERY')):
        status, _, error = run(name, 'c.py', 'c.pth', 'gallery')
        assert status == 2
        assert f'the order is now: text-video {name} {order} [' in error


@pytest.mark.parametrize('name', ['index', 'search', 'demo'])
def test_each_command_has_a_help(run, name):
    status, out, _ = run(name, '--help')
    assert status == 0
    assert out.startswith(f'usage: text-video {name} ')


def test_help_version_and_unknown_commands(run, monkeypatch):
    status, out, _ = run('--help')
    assert status == 0
    assert 'index   index new and changed videos into a gallery' in out
    assert run('--version')[:2] == (0, f'{__version__}\n')
    status, _, error = run('serch')
    assert status == 2
    assert "invalid choice: 'serch'" in error
    monkeypatch.setattr(sys, 'argv', ['text-video'])
    with pytest.raises(SystemExit):
        main()
