"""Galleries of before Lance: what tools/convert_gallery.py makes of them."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from diffusionret_mm.search import Gallery

pytest.importorskip('lance')

SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE videos (
    row INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
);
CREATE TABLE unreadable (
    path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, reason TEXT NOT NULL
);
"""
FRAMES, WIDTH = 3, 8
# Of two files of rows, the first row of the second one.
VIDEOS = {0: '/data/films/a.mp4', 2: '/data/films/in/b.mp4', 65_536: '/data/clips/c.mp4'}


@pytest.fixture
def old(tmp_path):
    """A gallery of format version 1, with removed rows between three videos; and its arrays."""
    folder = tmp_path / 'old'
    folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = dict(
        pooled=rng.standard_normal((4, WIDTH)).astype(np.float32),
        frames=rng.standard_normal((4, FRAMES, WIDTH)).astype(np.float16),
        frame_weights=rng.random((4, FRAMES)).astype(np.float32),
        frame_mask=rng.random((4, FRAMES)) < 0.5,
    )
    layout = {name: dict(dtype=str(a.dtype), shape=a.shape[1:]) for name, a in arrays.items()}
    for name, array in arrays.items():
        array[:3].tofile(folder / f'{name}-00000.bin')
        array[3:].tofile(folder / f'{name}-00001.bin')
    settings = dict(fingerprint=dict(weights='a'), layout=layout, qdrant=None, format_version=1)
    with closing(sqlite3.connect(folder / 'gallery.sqlite')) as database:
        database.executescript(SCHEMA)
        rows = [(name, json.dumps(value)) for name, value in settings.items()]
        database.executemany('INSERT INTO settings VALUES (?, ?)', rows)
        rows = [(row, path, 10 + row, 7_000_000) for row, path in VIDEOS.items()]
        database.executemany('INSERT INTO videos VALUES (?, ?, ?, ?)', rows)
        broken = ('/data/films/broken.mp4', 5, 8, 'cut short')
        database.execute('INSERT INTO unreadable VALUES (?, ?, ?, ?)', broken)
        database.commit()
    return folder, arrays


def test_videos_features_and_unreadable_files_are_kept(old, run_tool, tmp_path):
    folder, arrays = old
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for _ in range(2):  # the second time nothing is left to do
        done = run_tool('convert_gallery', folder, tmp_path / 'new')
        assert done.status == 0, done.err
        assert 'holds 3 videos. Libraries:\n  data: /data\n' in done.out
    gallery = Gallery(tmp_path / 'new')
    gallery.check_model(dict(weights='a'))
    assert gallery.unreadable() == {'/data/films/broken.mp4': 'cut short'}
    assert gallery.known()['data', 'films/in/b.mp4'].bytes == 12
    assert len(gallery.latest()) == 3
    (found,) = gallery.latest().candidates(arrays['pooled'][:1], 5)
    assert {span.path: (span.start, span.end, span.kind) for span in found.spans} == dict.fromkeys(
        sorted(VIDEOS.values()), (0, 0, 'video')
    )
    kept = dict(zip(VIDEOS.values(), (0, 2, 3), strict=True))
    places = [kept[span.path] for span in found.spans]
    names = 'pooled', 'frames', 'frame_weights', 'mask'
    for name, array in gallery.latest().read(found.rows, *names).items():
        wanted = arrays[dict(mask='frame_mask').get(name, name)][places]
        assert array.dtype == wanted.dtype
        np.testing.assert_array_equal(array, wanted)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_frames_are_kept_in_8_bits_where_that_is_chosen(old, run_tool, tmp_path):
    folder, arrays = old
    for options in (['--int8'], []):  # a run that goes on keeps to it
        done = run_tool('convert_gallery', folder, tmp_path / 'new', *options)
        assert done.status == 0, done.err
    snapshot = Gallery(tmp_path / 'new').latest()
    assert snapshot.facts.int8
    (found,) = snapshot.candidates(arrays['pooled'][:1], 5)
    kept = dict(zip(VIDEOS.values(), (0, 2, 3), strict=True))
    wanted = arrays['frames'][[kept[span.path] for span in found.spans]]
    frames = snapshot.read(found.rows, 'frames')['frames']
    np.testing.assert_allclose(frames, wanted, atol=np.abs(wanted).max() / 127)
    run_tool('convert_gallery', folder, tmp_path / 'half')
    done = run_tool('convert_gallery', folder, tmp_path / 'half', '--int8')
    assert done.status == 2
    assert 'keeps frames in half precision' in done.err


def test_libraries_can_be_named(old, run_tool, tmp_path):
    done = run_tool('convert_gallery', old[0], tmp_path / 'new', '--root', 'f=/data/films')
    assert done.status == 0, done.err
    assert Gallery(tmp_path / 'new').libraries.roots == dict(f='/data/films', clips='/data/clips')
    assert Gallery(tmp_path / 'new').paths() == sorted(VIDEOS.values())


def test_a_converted_gallery_goes_on(new_inferencer, clips, run_tool, tmp_path):
    """Videos that were known are known, and another model is refused."""
    inferencer, folder = new_inferencer(), clips(2)
    new = inferencer.index(folder, tmp_path / 'lance')
    old = tmp_path / 'sqlite'
    old.mkdir()
    rows = new.latest().dataset.to_table(columns=['path'], with_row_id=True).to_pylist()
    arrays = new.latest().read(np.array([row['_rowid'] for row in rows]), *new.facts.layout)
    arrays['frame_mask'] = arrays.pop('mask')
    layout = {name: dict(dtype=str(a.dtype), shape=a.shape[1:]) for name, a in arrays.items()}
    for name, array in arrays.items():
        array.tofile(old / f'{name}-00000.bin')
    settings = dict(fingerprint=new.facts.fingerprint, layout=layout, format_version=1)
    with closing(sqlite3.connect(old / 'gallery.sqlite')) as database:
        database.executescript(SCHEMA)
        values = [(name, json.dumps(value)) for name, value in settings.items()]
        database.executemany('INSERT INTO settings VALUES (?, ?)', values)
        for number, row in enumerate(rows):
            status = (folder / row['path']).stat()
            video = number, str(folder / row['path']), status.st_size, status.st_mtime_ns
            database.execute('INSERT INTO videos VALUES (?, ?, ?, ?)', video)
        database.commit()
    done = run_tool('convert_gallery', old, tmp_path / 'new')
    assert done.status == 0, done.err
    before = Gallery(tmp_path / 'new').latest().version
    assert Gallery(tmp_path / 'new').known().keys() == {(folder.name, row['path']) for row in rows}
    gallery = inferencer.index(folder, tmp_path / 'new')
    assert gallery.latest().version == before
    wanted = inferencer.search('a red circle', new).hits
    found = inferencer.search('a red circle', gallery).hits
    assert [hit.score for hit in found] == [hit.score for hit in wanted]


def damage_table(folder):
    (folder / 'gallery.sqlite').write_text('<html>' * 900)


def change_version(folder):
    with closing(sqlite3.connect(folder / 'gallery.sqlite')) as database:
        database.execute("UPDATE settings SET value = '0' WHERE name = 'format_version'")
        database.commit()


@pytest.mark.parametrize(
    ('damage', 'reason'),
    [
        (damage_table, 'cannot be read: file is not a database'),
        (change_version, 'has the format version 0; only version 1 can be converted'),
        (lambda folder: (folder / 'gallery.sqlite').unlink(), 'holds no gallery of before Lance'),
        (lambda folder: (folder / 'frames-00001.bin').unlink(), 'frames-00001.bin is missing'),
        (lambda folder: (folder / 'pooled-00000.bin').write_bytes(b'x'), 'too short for row 2'),
    ],
)
def test_what_cannot_be_converted(old, run_tool, tmp_path, damage, reason):
    damage(old[0])
    done = run_tool('convert_gallery', old[0], tmp_path / 'new')
    assert done.status == 2
    assert reason in done.err
