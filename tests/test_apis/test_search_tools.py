"""tools/index.py and tools/search.py, as a user types them."""

import json
import os
from pathlib import Path

import pytest

from diffusionret_mm.commands import index, search
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


def test_index_then_search(run, unlike_clips, tmp_path):
    folder, gallery = unlike_clips(4), tmp_path / 'gallery'
    run('index', folder, gallery, '--workers', 2)
    result = json.loads(run('search', gallery, TEXT, '--top-k', 3, '--json').out)
    assert [hit['rank'] for hit in result['hits']] == [1, 2, 3]
    hit = result['hits'][0]
    scores = {'similarity', 'generator', 'score'}
    assert {*hit} == {'rank', 'video', 'start', 'end', *scores, 'span', 'subtitle', 'probability'}
    assert (hit['probability'], result['confidence'], result['no_match']) == (None, None, False)
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
    pytest.importorskip('scenedetect')
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


@pytest.mark.parametrize(
    ('options', 'moments'),
    [
        (('--window', 3, '--step', 1), Moments('windows', 3, 1)),
        (('--window', 3), Moments('windows', 3, 1.5)),
        (('--step', 2), Moments('windows', 10, 2)),
    ],
)
def test_windows_of_other_lengths(run, clips, tmp_path, options, moments):
    pytest.importorskip('scenedetect')
    folder, gallery = clips(1), tmp_path / 'gallery'
    run('index', folder, gallery, '--moments', 'windows', *options)
    assert Gallery(gallery).facts.moments == moments
    failed = run('index', folder, gallery, '--moments', 'windows', status=2)
    assert f'was made with moments {moments}, not windows of 10 s every 5 s' in failed.err


@pytest.fixture
def no_model(monkeypatch):
    """No model can be loaded."""
    for command in (index, search):
        monkeypatch.delattr(command, 'build_inferencer')


@pytest.mark.usefixtures('no_model')
@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (('--moments', 'shots', '--step', 1), 'give --moments windows, too'),
        (('--window', 3), 'give --moments windows, too'),
        (('--moments', 'windows', '--step', 11), 'got windows of 10 s every 11 s'),
        (('--moments', 'windows', '--window', 'inf'), 'got windows of inf s every inf s'),
        (('--moments', 'windows', '--window', 'nan'), 'got windows of nan s every nan s'),
        (('--moments', 'windows', '--window', 0.1), 'got windows of 0.1 s every 0.05 s'),
        (('--moments', 'windows', '--window', 300), 'are at most 120 s long, not 300 s'),
    ],
)
def test_windows_that_cannot_be_are_refused_before_a_model_is_loaded(run, tmp_path, options, said):
    assert said in run('index', tmp_path, tmp_path / 'gallery', *options, status=2).err


def test_other_moments_are_refused_before_a_model_is_loaded(run, clips, tmp_path, request):
    folder, gallery = clips(1), tmp_path / 'gallery'
    run('index', folder, gallery)
    request.getfixturevalue('no_model')
    said = run('index', folder, gallery, '--moments', 'shots', status=2).err
    assert 'was made with moments none, not shots' in said
    assert 'in half precision' in run('index', folder, gallery, '--int8', status=2).err
    assert 'none does not exist' in run('index', tmp_path / 'none', gallery, status=2).err


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
def test_a_wrong_condition_is_a_sentence(indexed_clips, run_tool, where, reason):
    search = 'search', indexed_clips.gallery.folder, TEXT, '--device', 'cpu'
    done = run_tool(*search, '--where', where)
    said = done.err
    assert done.status == 2
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
    said = run('search', gallery, TEXT, '--json').err
    lost = f"The folder {folder} of the library 'videos' does not exist"
    assert said == f'{lost}; if it has moved, give --root videos=FOLDER.\n'
    clips = tmp_path / 'clips'
    said = run('search', gallery, TEXT, '--export', clips, status=2).err
    assert 'There is no video to export. The folder' in said
    assert not clips.exists()
    run('search', gallery, TEXT, '--export', clips, '--root', root)
    assert len([*clips.glob('*.mp4')]) == 2
    said = run('index', moved, gallery, status=2).err
    assert f'{lost}, and the folder that is to be indexed holds the same file' in said
    assert 'give --root videos=FOLDER' in said
    removing = 'index', moved, gallery, '--remove-vanished'
    assert '0 videos are gone' in run(*removing, '--root', root).out
    assert len(Gallery(gallery)) == 2
    assert run('search', gallery, TEXT, '--json').err == ''  # it is kept
    said = run('search', gallery, TEXT, '--root', 'films=/films', status=2).err
    assert "no library 'films'; it has videos" in said
    assert 'wants NAME=FOLDER' in run('search', gallery, TEXT, '--root', 'films', status=2).err
