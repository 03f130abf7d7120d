"""tools/index.py and tools/search.py, as a user types them."""

import json
import os
from pathlib import Path

import pytest

from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import Gallery

pytest.importorskip('lance')

TEXT = 'a red circle moves left'


@pytest.fixture
def run(new_inferencer, tmp_path, run_tool):
    """A function that runs a tool with the tiny model and returns what it printed."""
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'

    def run_on_cpu(name, *arguments, status=0):
        given = model if name == 'index' else ()
        done = run_tool(name, *arguments, *given, '--device', 'cpu')
        assert done.status == status, done.err
        return done

    return run_on_cpu


def test_index_then_search(run, clips, tmp_path):
    folder, gallery = clips(4), tmp_path / 'gallery'
    run('index', folder, gallery, '--workers', 2)
    result = json.loads(run('search', gallery, TEXT, '--top-k', 3, '--json').out)
    assert [hit['rank'] for hit in result['hits']] == [1, 2, 3]
    hit = result['hits'][0]
    scores = {'similarity', 'generator', 'score'}
    assert {*hit} == {'rank', 'video', 'start', 'end', *scores, 'span', 'subtitle'}
    assert {*hit['span']} == {'id', 'path', 'start', 'end', 'kind'}
    table = run('search', gallery, TEXT).out
    assert TEXT in table
    assert 'generator' in table
    video = result['hits'][0]['video']
    like = json.loads(run('search', gallery, '--video', video, '--json').out)
    assert like['hits'][0]['video'] == video
    Path(video).unlink()
    assert '1 videos are gone' in run('index', folder, gallery, '--remove-vanished').out


def test_moments_are_remembered(run, clips, tmp_path):
    folder, gallery = clips(2), tmp_path / 'gallery'
    run('index', folder, gallery, '--moments', 'windows', '--workers', 1)
    (folder / '0/clip00.mp4').touch()
    run('index', folder, gallery, '--workers', 1)
    assert Gallery(gallery).facts.moments == Moments('windows')
    assert len(Gallery(gallery).latest()) == 2
    failed = run('index', folder, gallery, '--moments', 'none', status=2)
    assert 'was made with moments windows of 10 s every 5 s, not none' in failed.err
    failed = run('index_ray', folder, gallery, status=2)
    assert 'On a Ray cluster videos are indexed as wholes, not as windows' in failed.err


def test_mistakes_are_messages(run, clips, tmp_path):
    gallery = tmp_path / 'gallery'
    assert 'holds no gallery' in run('search', gallery, TEXT, status=2).err
    assert 'does not exist' in run('index', tmp_path / 'none', gallery, status=2).err
    run('index', clips(1), gallery)
    assert 'Caption 0 is empty' in run('search', gallery, ' ', status=2).err
    run('search', gallery, status=2)
    (tmp_path / 'random_0.pth').unlink()
    assert 'random_0.pth' in run('search', gallery, TEXT, status=2).err


def found(run, gallery, *where):
    result = json.loads(run('search', gallery, TEXT, '--json', '--where', *where).out)
    return {Path(hit['video']).name for hit in result['hits']}


def test_conditions(run, clips, tmp_path):
    folder, gallery = clips(6), tmp_path / 'gallery'
    os.utime(folder / '0/clip03.mp4', (0, 1_600_000_000))  # 13 September 2020
    run('index', folder, gallery)
    assert found(run, gallery, "path LIKE '0/%'") == {'clip00.mp4', 'clip03.mp4'}
    assert found(run, gallery, "mtime < date '2020-09-14'") == {'clip03.mp4'}
    assert found(run, gallery, "mtime < date '2020-09-13'") == set()
    assert found(run, gallery, 'end > 0.75 AND end < 0.95') == {'clip02.mp4', 'clip03.mp4'}
    assert found(run, gallery, "library = 'films'") == set()
    video = folder / '1/clip01.mp4'
    like = run('search', gallery, '--video', video, '--json', '--where', "path LIKE '2/%'")
    names = {Path(hit['video']).name for hit in json.loads(like.out)['hits']}
    assert names == {'clip02.mp4', 'clip05.mp4'}


@pytest.mark.parametrize(
    ('where', 'reason'),
    [
        ('colour = 3', 'No field named colour'),
        ('path LIKE', 'sql parser error'),
        ("start + 'a' > 3", 'Cannot coerce'),
        ('path', 'does not return a boolean'),
        ('', 'sql parser error'),
    ],
)
def test_a_wrong_condition_is_a_sentence(run, clips, tmp_path, where, reason):
    run('index', clips(1), tmp_path / 'gallery')
    said = run('search', tmp_path / 'gallery', TEXT, '--where', where, status=2).err
    assert said.startswith(f'The filter {where!r} cannot be used: ')
    assert reason in said
    assert '.rs:' not in said
    assert said.count('\n') == 1


def test_libraries_that_have_moved(run, clips, tmp_path):
    folder, gallery = clips(2), tmp_path / 'gallery'
    run('index', folder, gallery)
    moved = folder.rename(tmp_path / 'moved')
    root = f'videos={moved}'
    result = json.loads(run('search', gallery, TEXT, '--json', '--root', root).out)
    assert {hit['video'] for hit in result['hits']} == {*map(str, moved.rglob('*.mp4'))}
    removing = 'index', moved, gallery, '--remove-vanished'
    assert '0 videos are gone' in run(*removing, '--root', root).out
    said = run('search', gallery, TEXT, '--root', 'films=/films', status=2).err
    assert "no library 'films'; it has videos" in said
    assert 'wants NAME=FOLDER' in run('search', gallery, TEXT, '--root', 'films', status=2).err
