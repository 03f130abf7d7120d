"""Subtitles beside videos and inside, from their files to the hits of a search."""

import json
import os

import pytest
import subtitled_clips
from mmengine.logging import MMLogger

from diffusionret_mm.apis import IndexOptions, Share
from diffusionret_mm.apis.index_subtitles import index_subtitles
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import Gallery, GalleryWriter

pytest.importorskip('lance')

SAID = 'a lighthouse keeper counts the ships'
WITH = IndexOptions(subtitles=True)


@pytest.fixture
def inferencer(new_inferencer):
    """An inferencer that does not show bars."""
    return new_inferencer(num_workers=1)


@pytest.fixture
def logged(monkeypatch):
    """What is logged, line by line."""
    lines = []
    monkeypatch.setattr(MMLogger, 'callHandlers', lambda self, record: lines.append(record.msg))
    return lines


def write_srt(path, *rows):
    path.write_text('\n\n'.join(rows), encoding='utf-8')


def said_of(gallery):
    """What is said, by the name of the video and the start of the span."""
    rows = gallery.subtitles.open().to_table(columns=['path', 'start', 'text']).to_pylist()
    return {(os.path.basename(row['path']), row['start']): row['text'] for row in rows}


def test_files_and_tracks_are_read_with_the_videos(inferencer, write_clip, tmp_path, logged):
    videos = tmp_path / 'videos'
    for name in ('beside', 'silent', 'broken'):
        write_clip(videos / f'{name}.mp4')
    subtitled_clips.write(videos / 'inside.mkv', [(0.5, 1, 'said inside')])
    write_srt(videos / 'beside.srt', '00:00 --> 00:01\none', '00:01 --> 00:02\ntwo', '3 -> 4\nx')
    write_srt(videos / 'beside.de.vtt', 'WEBVTT', '00:00.000 --> 00:01.000\neins')
    (videos / 'broken.srt').write_bytes(b'\0')
    (videos / 'bad.mp4').write_bytes(b'no video')
    write_srt(videos / 'bad.srt', '00:00 --> 00:01\nof no video')
    gallery = inferencer.index(videos, tmp_path / 'gallery', WITH)
    assert said_of(gallery) == {
        ('beside.mp4', 0): 'eins\none\ntwo',
        ('inside.mkv', 0): 'said inside',
        ('silent.mp4', 0): None,
        ('broken.mp4', 0): None,
    }
    assert len(gallery) == 4
    text = '\n'.join(logged)
    assert 'Looked for the subtitles of 4 videos' in text
    assert '2 have lines. Not read in whole:' in text
    assert 'beside.mp4: beside.srt: line 7: "3 -> 4" has no times' in text
    assert 'broken.mp4: broken.srt: it is UTF-16 without its mark, or no text' in text


def test_lines_of_moments_are_those_shown_in_them(inferencer, tmp_path):
    path = subtitled_clips.write(
        tmp_path / 'videos/film.mp4', [(1.5, 2.5, 'both'), (3, 4, 'two')], 4
    )
    options = IndexOptions(subtitles=True, moments=Moments('windows', 2, 2))
    gallery = inferencer.index(path, tmp_path / 'gallery', options)
    assert said_of(gallery) == {('film.mp4', 0): 'both', ('film.mp4', 2): 'both\ntwo'}


def test_changed_lines_are_read_without_the_video(inferencer, clips, tmp_path, monkeypatch):
    videos, folder = clips(3), tmp_path / 'gallery'
    write_srt(videos / '0/clip00.srt', '00:00 --> 00:01\none')
    gallery = inferencer.index(videos, folder, WITH)
    version = gallery.spans.open().version
    monkeypatch.setattr(GalleryWriter, 'add', None)  # no video may be indexed again
    write_srt(videos / '0/clip00.srt', '00:00 --> 00:01\nanother')
    write_srt(videos / '1/clip01.vtt', '00:00 --> 00:01\nnew')
    inferencer.index(videos, folder)  # the gallery knows that it has subtitles
    assert said_of(gallery) == {
        ('clip00.mp4', 0): 'another',
        ('clip01.mp4', 0): 'new',
        ('clip02.mp4', 0): None,
    }
    (videos / '1/clip01.vtt').unlink()
    inferencer.index(videos, folder)
    assert said_of(gallery)['clip01.mp4', 0] is None
    assert gallery.spans.open().version == version


def test_nothing_is_read_twice(inferencer, clips, tmp_path, logged):
    videos, folder = clips(2), tmp_path / 'gallery'
    write_srt(videos / '0/clip00.srt', '00:00 --> 00:01\none')
    (videos / '1/clip01.srt').symlink_to(tmp_path / 'nothing')
    gallery = inferencer.index(videos, folder, WITH)
    assert any('clip01.srt: no such file or directory' in line for line in logged)
    version = gallery.subtitles.open().version
    logged.clear()
    inferencer.index(videos, folder, WITH)
    assert gallery.subtitles.open().version == version
    assert not any('subtitles' in line for line in logged)


def test_a_gallery_without_subtitles_gets_them_later(inferencer, clips, tmp_path, monkeypatch):
    videos, folder = clips(2), tmp_path / 'gallery'
    write_srt(videos / '0/clip00.srt', f'00:00 --> 00:01\n{SAID}')
    gallery = inferencer.index(videos, folder)
    assert not gallery.subtitles.exists()
    assert {hit.subtitle for hit in inferencer.search(SAID, gallery).hits} == {None}
    monkeypatch.setattr(GalleryWriter, 'add', None)
    gallery = inferencer.index(videos, folder, WITH)
    hits = inferencer.search(SAID, Gallery(folder)).hits
    assert [hit.subtitle for hit in hits if hit.video.endswith('clip00.mp4')] == [SAID]


def test_ranks_read_the_subtitles_of_their_shares(inferencer, clips, tmp_path):
    videos, folder = clips(6), tmp_path / 'gallery'
    for path in videos.rglob('*.mp4'):
        write_srt(path.with_suffix('.srt'), f'00:00 --> 00:01\n{path.stem}')
    read = {}
    for rank in range(2):
        share = Share(rank, 2)
        gallery = inferencer.index(videos, folder, IndexOptions(subtitles=True, share=share))
        read[rank] = len(said_of(gallery))
    assert 0 < read[0] < read[1] == 6


def crash(video, files):
    if 'clip01' in video:
        os._exit(1)
    raise AssertionError('only clip01 is read')


def test_a_crash_costs_the_lines_alone(inferencer, clips, tmp_path, monkeypatch, logged):
    videos, folder = clips(2), tmp_path / 'gallery'
    gallery = inferencer.index(videos, folder)
    monkeypatch.setattr('diffusionret_mm.apis.index_subtitles.read_subtitles', crash)
    files = {path: file for path, file in _files(gallery).items() if 'clip01' in path}
    index_subtitles(inferencer, gallery, files, is_wanted=True, workers=1)
    assert said_of(gallery) == {('clip01.mp4', 0): None}
    assert any('clip01.mp4: the process that read it crashed' in line for line in logged)
    assert len(gallery) == 2


def _files(gallery):
    return {gallery.libraries.path_of(*key): file for key, file in gallery.known().items()}


@pytest.fixture
def tools(inferencer, clips, tmp_path, run_tool):
    """A function that runs a tool on a gallery with subtitles, and returns what it printed."""
    inferencer.cfg.dump(tmp_path / 'config.py')
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'
    videos = clips(6)
    write_srt(videos / '1/clip04.srt', f'00:00 --> 00:01\nnothing\n\n00:01 --> 00:02\n{SAID}')

    def run(name, *arguments):
        given = (
            (videos, tmp_path / 'gallery', *model) if name == 'index' else (tmp_path / 'gallery',)
        )
        done = run_tool(name, *given, *arguments, '--device', 'cpu')
        assert done.status == 0, done.err
        return done.out

    run('index', '--subtitles', '--workers', '1')
    return run


def test_a_sentence_is_matched_with_lines_too(tools):
    sentence = 'who counts ships?'
    fused = json.loads(tools('search', sentence, '--json'))
    alone = json.loads(tools('search', sentence, '--json', '--no-subtitles'))
    scores = {hit['video']: hit['score'] for hit in alone['hits']}
    assert {hit['video']: hit['score'] for hit in fused['hits']} == pytest.approx(scores, abs=1e-5)
    assert [hit['rank'] for hit in fused['hits']] == [1, 2, 3, 4, 5, 6]
    (first,) = (hit for hit in fused['hits'] if hit['subtitle'] is not None)
    assert first['video'].endswith('clip04.mp4')
    assert first['subtitle'] == SAID
    ranks = {hit['video']: hit['rank'] for hit in alone['hits']}
    assert first['rank'] <= ranks[first['video']]
    others = [hit['video'] for hit in fused['hits'] if hit != first]
    assert others == [hit['video'] for hit in alone['hits'] if hit['video'] != first['video']]
    assert 'subtitles' in fused['seconds']
    assert 'subtitles' not in alone['seconds']
    assert {hit['subtitle'] for hit in alone['hits']} == {None}


def test_the_table_shows_lines_where_some_fit(tools):
    shown = tools('search', 'ships', '--top-k', '1')
    assert 'subtitle' in shown.splitlines()[1]
    assert SAID in shown
    assert SAID not in tools('search', 'ships', '--top-k', '6', '--where', "path LIKE '0/%'")
    columns = tools('search', 'elephants', '--top-k', '6').splitlines()[1]
    assert 'video' in columns
    assert 'subtitle' not in columns


def test_more_results_than_candidates_may_have_lines(tools, monkeypatch):
    monkeypatch.setattr('diffusionret_mm.search.steps.NUM_CANDIDATES', 1)
    hits = json.loads(tools('search', 'ships', '--json', '--top-k', '1'))['hits']
    names = {hit['video'].rsplit('/')[-1] for hit in hits}
    assert names == {'clip04.mp4'}  # whichever vector is the nearest
