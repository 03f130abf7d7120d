"""tools/index.py and tools/search.py, as a user types them."""

import json
import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip('faiss')

TOOLS = Path(__file__).parents[2] / 'tools'
TEXT = 'a red circle moves left'


@pytest.fixture
def run(new_inferencer, tmp_path, monkeypatch, capsys):
    """A function that runs a tool with the tiny model and returns what it printed."""
    new_inferencer().cfg.dump(tmp_path / 'config.py')

    def run_tool(name, *arguments, status=None):
        common = [str(tmp_path / 'config.py'), str(tmp_path / 'random_0.pth'), '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', [name, *common, *map(str, arguments)])
        capsys.readouterr()
        if status is None:
            runpy.run_path(str(TOOLS / name), run_name='__main__')
        else:
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(str(TOOLS / name), run_name='__main__')
            assert ended.value.code == status
        return capsys.readouterr()

    return run_tool


def test_index_then_search(run, clips, tmp_path):
    folder, gallery = clips(4), tmp_path / 'gallery'
    run('index.py', folder, gallery, '--workers', 2)
    result = json.loads(run('search.py', gallery, TEXT, '--top-k', 3, '--json').out)
    assert [hit['rank'] for hit in result['hits']] == [1, 2, 3]
    assert {*result['hits'][0]} == {'rank', 'item', 'similarity', 'generator', 'score'}
    table = run('search.py', gallery, TEXT).out
    assert TEXT in table
    assert 'generator' in table
    video = result['hits'][0]['item']
    like = json.loads(run('search.py', gallery, '--video', video, '--json').out)
    assert like['hits'][0]['item'] == video
    Path(video).unlink()
    assert '1 videos are gone' in run('index.py', folder, gallery, '--remove-vanished').out


def test_mistakes_are_messages(run, clips, tmp_path):
    gallery = tmp_path / 'gallery'
    assert 'holds no gallery' in run('search.py', gallery, TEXT, status=2).err
    assert 'does not exist' in run('index.py', tmp_path / 'none', gallery, status=2).err
    run('index.py', clips(1), gallery)
    assert 'Caption 0 is empty' in run('search.py', gallery, ' ', status=2).err
    run('search.py', gallery, status=2)
    (tmp_path / 'random_0.pth').unlink()
    assert 'random_0.pth' in run('search.py', gallery, TEXT, status=2).err
