"""Subtitles beside videos and inside, from their files to the hits of a search."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
import subtitled_clips
from mmengine.logging import MMLogger

from diffusionret_mm.apis.index_subtitles import index_subtitles
from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryWriter,
    Libraries,
    Span,
    VideoFile,
    layout_of,
)

pytest.importorskip('lance')

SAID = 'a lighthouse keeper counts the ships'
READER = SimpleNamespace(show_progress=False, time_limit=None)
ARRAYS = dict(pooled=np.zeros((1, 4), np.float32))


@pytest.fixture
def logged(monkeypatch):
    """What is logged, line by line."""
    lines = []
    monkeypatch.setattr(MMLogger, 'callHandlers', lambda self, record: lines.append(record.msg))
    return lines


@pytest.fixture
def index(tmp_path):
    """A function that puts videos of names into a gallery, as if they had been decoded."""
    gallery = Gallery.create(
        tmp_path / 'gallery', Facts({}, layout_of(ARRAYS)), Libraries({'all': str(tmp_path)})
    )

    def write(*names, ends=(9.0,)):
        with GalleryWriter(gallery) as writer:
            for name in names:
                file = VideoFile('all', name, 1, 1)
                kind = 'video' if len(ends) == 1 else 'window'
                spans = [Span(file, end - 9, end, kind) for end in ends]
                writer.add(
                    spans, {key: np.repeat(each, len(ends), 0) for key, each in ARRAYS.items()}
                )
        return gallery

    return write


def read(gallery, is_wanted=True, only=''):
    """Read the subtitles of the gallery's videos."""
    files = {gallery.libraries.path_of(*key): file for key, file in gallery.known().items()}
    files = {path: file for path, file in files.items() if only in path}
    index_subtitles(READER, gallery, files, is_wanted, workers=1)
    return said_of(gallery)


def said_of(gallery):
    """What is said, by the name of the video and the start of the span."""
    rows = gallery.subtitles.open().to_table(columns=['path', 'start', 'text']).to_pylist()
    return {(os.path.basename(row['path']), row['start']): row['text'] for row in rows}


def write_srt(path, *rows):
    path.write_text('\n\n'.join(rows), encoding='utf-8')


def test_files_and_tracks_are_read(index, tmp_path, write_clip, logged):
    gallery = index('beside.mp4', 'inside.mkv', 'silent.mp4', 'broken.mp4', 'gone.mp4')
    GalleryWriter(gallery).note_unreadable(VideoFile('all', 'bad.mp4', 1, 1), 'no video')
    subtitled_clips.write(tmp_path / 'inside.mkv', [(0.5, 1, 'said inside')])
    write_clip(tmp_path / 'silent.mp4')
    write_srt(tmp_path / 'beside.srt', '00:00 --> 00:01\none', '00:01 --> 00:02\ntwo', '3 -> 4\nx')
    write_srt(tmp_path / 'beside.de.vtt', 'WEBVTT', '00:00.000 --> 00:01.000\neins')
    (tmp_path / 'broken.srt').write_bytes(b'\0')
    write_srt(tmp_path / 'bad.srt', '00:00 --> 00:01\nof no video')
    assert read(gallery) == {
        ('beside.mp4', 0): 'eins\none\ntwo',
        ('inside.mkv', 0): 'said inside',
        ('silent.mp4', 0): None,
        ('broken.mp4', 0): None,
        ('gone.mp4', 0): None,
    }
    (text,) = logged
    assert text.startswith('Looked for the subtitles of 5 videos in ')
    assert '2 have lines. Not read in whole:' in text
    assert 'beside.mp4: beside.srt: line 7: "3 -> 4" has no times' in text
    assert 'broken.mp4: broken.srt: it is UTF-16 without its mark, or no text' in text
    assert 'gone.mp4: gone.mp4: FileNotFoundError' in text


def test_lines_of_moments_are_those_shown_in_them(index, tmp_path):
    gallery = index('film.mp4', ends=(9.0, 14.0))
    write_srt(tmp_path / 'film.srt', '00:04 --> 00:06\nboth', '00:12 --> 00:13\ntwo')
    assert read(gallery) == {('film.mp4', 0): 'both', ('film.mp4', 5): 'both\ntwo'}


def test_changed_files_are_read_again_and_others_not(index, tmp_path, logged):
    gallery = index('a.mp4', 'b.mp4', 'c.mp4')
    for name in 'abc':
        write_srt(tmp_path / f'{name}.srt', f'00:00 --> 00:01\n{name}')
    (tmp_path / 'c.vtt').symlink_to(tmp_path / 'nothing')
    assert read(gallery, only='c.mp4') == {('c.mp4', 0): 'c'}
    assert 'c.vtt: no such file or directory' in logged[0]
    read(gallery, is_wanted=False)  # it knows that it has subtitles
    write_srt(tmp_path / 'a.srt', '00:00 --> 00:01\nanother')
    (tmp_path / 'b.srt').rename(tmp_path / 'b.en.srt')
    logged.clear()
    versions = [table.open().version for table in (gallery.spans, gallery.files)]
    assert read(gallery) == {('a.mp4', 0): 'another', ('b.mp4', 0): 'b', ('c.mp4', 0): 'c'}
    assert 'subtitles of 2 videos' in logged[0]
    version = gallery.subtitles.open().version
    read(gallery)
    assert len(logged) == 1
    assert gallery.subtitles.open().version == version
    assert [table.open().version for table in (gallery.spans, gallery.files)] == versions


def test_subtitles_are_read_where_they_are_wanted(index, tmp_path):
    gallery = index('a.mp4')
    write_srt(tmp_path / 'a.srt', '00:00 --> 00:01\na')
    index_subtitles(READER, gallery, {}, is_wanted=False)
    assert not gallery.subtitles.exists()
    assert read(gallery) == {('a.mp4', 0): 'a'}


def crash(video, files):
    os._exit(1)


def test_a_crash_costs_the_lines_alone(index, tmp_path, monkeypatch, logged):
    gallery = index('a.mp4')
    monkeypatch.setattr('diffusionret_mm.apis.index_subtitles.read_subtitles', crash)
    assert read(gallery) == {('a.mp4', 0): None}
    assert 'a.mp4: the process that read it crashed' in logged[0]
    assert len(gallery) == 1


@pytest.fixture(scope='module')
def videos(tmp_path_factory):
    """Six clips; one of them has subtitles."""
    folder = tmp_path_factory.mktemp('videos')
    for number in range(6):
        subtitled_clips.write(folder / f'clip{number}.mp4', [], seconds=0.5)
    write_srt(folder / 'clip4.srt', f'00:00 --> 00:01\nnothing\n\n00:01 --> 00:02\n{SAID}')
    return folder


def test_a_sentence_is_matched_with_lines_too(new_inferencer, videos, tmp_path, run_tool):
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'

    def run(name, *arguments):
        done = run_tool(name, *arguments, '--device', 'cpu')
        assert done.status == 0, done.err
        return done.out

    gallery = tmp_path / 'gallery'
    run('index', videos, gallery, *model, '--subtitles', '--workers', '1')
    sentence = 'who counts the SHIPS at night?'
    fused = json.loads(run('search', gallery, sentence, '--json'))
    alone = json.loads(run('search', gallery, sentence, '--json', '--no-subtitles'))
    scores = {hit['video']: hit['score'] for hit in alone['hits']}
    assert {hit['video']: hit['score'] for hit in fused['hits']} == pytest.approx(scores, abs=1e-5)
    assert [hit['rank'] for hit in fused['hits']] == [1, 2, 3, 4, 5, 6]
    (first,) = (hit for hit in fused['hits'] if hit['subtitle'] is not None)
    assert first['video'].endswith('clip4.mp4')
    assert first['subtitle'] == SAID
    others = [hit['video'] for hit in fused['hits'] if hit != first]
    assert others == [hit['video'] for hit in alone['hits'] if hit['video'] != first['video']]
    assert 'subtitles' in fused['seconds']
    assert 'subtitles' not in alone['seconds']
    assert {hit['subtitle'] for hit in alone['hits']} == {None}
    shown = run('search', gallery, 'ships', '--top-k', '1')
    assert shown.splitlines()[1].endswith('subtitle')
    assert SAID in shown
    others = run('search', gallery, 'ships', '--where', "path LIKE '%3%'").splitlines()[1]
    assert others.endswith('video')
