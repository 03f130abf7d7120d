"""tools/index.py and tools/search.py, as a user types them."""

import json
from pathlib import Path

import pytest

pytest.importorskip('faiss')

TEXT = 'a red circle moves left'


@pytest.fixture
def run(new_inferencer, tmp_path, run_tool):
    """A function that runs a tool with the tiny model and returns what it printed."""
    new_inferencer().cfg.dump(tmp_path / 'config.py')

    def run_with_model(name, *arguments, status=0):
        common = [tmp_path / 'config.py', tmp_path / 'random_0.pth', '--device', 'cpu']
        done = run_tool(name, *common, *arguments)
        assert done.status == status, done.err
        return done

    return run_with_model


def test_index_then_search(run, clips, tmp_path):
    folder, gallery = clips(4), tmp_path / 'gallery'
    run('index', folder, gallery, '--workers', 2)
    result = json.loads(run('search', gallery, TEXT, '--top-k', 3, '--json').out)
    assert [hit['rank'] for hit in result['hits']] == [1, 2, 3]
    hit = result['hits'][0]
    assert {*hit} == {'rank', 'item', 'similarity', 'generator', 'score', 'span'}
    assert {*hit['span']} == {'id', 'path', 'start', 'end', 'kind'}
    table = run('search', gallery, TEXT).out
    assert TEXT in table
    assert 'generator' in table
    video = result['hits'][0]['item']
    like = json.loads(run('search', gallery, '--video', video, '--json').out)
    assert like['hits'][0]['item'] == video
    Path(video).unlink()
    assert '1 videos are gone' in run('index', folder, gallery, '--remove-vanished').out


def test_mistakes_are_messages(run, clips, tmp_path):
    gallery = tmp_path / 'gallery'
    assert 'holds no gallery' in run('search', gallery, TEXT, status=2).err
    assert 'does not exist' in run('index', tmp_path / 'none', gallery, status=2).err
    run('index', clips(1), gallery)
    assert 'Caption 0 is empty' in run('search', gallery, ' ', status=2).err
    run('search', gallery, status=2)
    (tmp_path / 'random_0.pth').unlink()
    assert 'random_0.pth' in run('search', gallery, TEXT, status=2).err
