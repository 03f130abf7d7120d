"""The command that serves the page."""

from types import SimpleNamespace

import pytest

pytest.importorskip('lance')
pytest.importorskip('gradio')

from fastapi.testclient import TestClient  # noqa: E402

from diffusionret_mm.commands import demo  # noqa: E402

TEXT = 'a red circle moves left'


@pytest.fixture
def moved(new_inferencer, clips, tmp_path):
    """A gallery whose videos have moved, and where they are now."""
    folder = clips(2)
    new_inferencer().index(folder, tmp_path / 'gallery')
    return tmp_path / 'gallery', folder.rename(tmp_path / 'elsewhere')


@pytest.fixture
def serve(monkeypatch):
    """A function that runs the command; instead of serving, it visits the page."""

    def run(*arguments):
        visited = []

        def server_of(app, bound, when_ready):
            def visit(sockets):
                assert sockets == [bound]
                when_ready('ADDRESS')
                with TestClient(app) as client:
                    visited.append(client.get('/').status_code)

            return SimpleNamespace(run=visit)

        monkeypatch.setattr(demo, 'server_of', server_of)
        demo.main([*map(str, arguments), '--device', 'cpu', '--port', '0'])
        return visited

    return run


def test_the_address_is_printed(serve, moved, capsys):
    gallery, folder = moved
    assert serve(gallery, '--root', f'videos={folder}') == [200]
    printed = capsys.readouterr()
    assert printed.out.endswith('The page is at ADDRESS; Ctrl-C ends it.\n')
    assert 'does not exist' not in printed.err


def test_a_folder_that_is_gone_is_named(serve, moved, capsys):
    assert serve(moved[0]) == [200]
    error = capsys.readouterr().err
    assert "of the library 'videos' does not exist" in error
    assert '--root videos=FOLDER' in error


def test_what_is_no_port_is_refused(serve, moved, capsys):
    with pytest.raises(SystemExit) as ended:
        demo.main([str(moved[0]), '--device', 'cpu', '--port', '70000'])
    assert ended.value.code == 2
    assert '--port 70000: a port is a number from 0 to 65535.' in capsys.readouterr().err
