import json

import pytest

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.manifest import Manifest, VideoRecord
from diffusionret_mm.storage.fingerprint import sha256_of


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'train.csv').write_text('video_id\na\n')
    return Manifest(
        dataset='msrvtt',
        video_folder=tmp_path / 'videos',
        annotations={'train.csv': sha256_of(tmp_path / 'train.csv')},
        videos={
            'a': VideoRecord('ok', path='x/a.mp4', bytes=3, mtime_ns=4, decoder='decord', frames=7),
            'b': VideoRecord('unreadable', 'decord: why', 'b.mp4', 5, 6),
            'c': VideoRecord('missing', 'there is no such file'),
        },
    )


def test_what_is_saved_is_loaded(tmp_path, manifest):
    manifest.save(tmp_path / 'manifest.json')
    loaded = Manifest.load(tmp_path / 'manifest.json')
    assert loaded == manifest
    assert loaded.video_path('a') == tmp_path / 'videos/x/a.mp4'
    assert [loaded.video_path(video_id) for video_id in 'bcd'] == [None] * 3
    assert [path.name for path in tmp_path.glob('*manifest*')] == ['manifest.json']


def test_a_data_set_can_be_moved(tmp_path, manifest):
    manifest.save(tmp_path / 'manifest.json')
    moved = tmp_path.rename(tmp_path.with_name('moved'))
    path = Manifest.load(moved / 'manifest.json').video_path('a')
    assert path == moved / 'videos/x/a.mp4'


def test_videos_elsewhere_keep_their_place(tmp_path, manifest):
    manifest.save(tmp_path / 'other/manifest.json')
    loaded = Manifest.load(tmp_path / 'other/manifest.json')
    assert loaded.video_path('a') == tmp_path / 'videos/x/a.mp4'


def test_a_changed_annotation_is_named(tmp_path, manifest):
    manifest.check_annotations([tmp_path / 'train.csv'])
    (tmp_path / 'train.csv').write_text('video_id\nb\n')
    with pytest.raises(AnnotationError, match=r'train\.csv has changed since .*prepare\.py again'):
        manifest.check_annotations([tmp_path / 'train.csv'])
    (tmp_path / 'test.csv').touch()
    with pytest.raises(AnnotationError, match=r'test\.csv was not there when'):
        manifest.check_annotations([tmp_path / 'test.csv'])


def test_what_is_no_manifest(tmp_path, manifest):
    path = tmp_path / 'manifest.json'
    with pytest.raises(FileNotFoundError, match=r'manifest\.json does not exist; write it with'):
        Manifest.load(path)
    for text in ('', '[]', '{}', '{"format_version": 1}'):
        path.write_text(text)
        with pytest.raises(AnnotationError, match='is not a manifest'):
            Manifest.load(path)
    manifest.save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | dict(format_version=99)))
    with pytest.raises(AnnotationError, match='format version 99, this program reads 1'):
        Manifest.load(path)
