"""What a gallery promises to those who read and write it."""

import json
import multiprocessing
import sqlite3
import time

import numpy as np
import pytest

from diffusionret_mm.search import Gallery, GalleryError, writing_gallery
from diffusionret_mm.search.catalogue import Catalogue
from diffusionret_mm.search.segments import layout_of

pytest.importorskip('faiss')


def paths_of(gallery):
    return gallery.catalogue.all_paths()


def test_what_was_added_is_read_back(new_gallery):
    made, arrays = new_gallery(6)
    gallery = Gallery(made.folder)
    assert len(gallery) == 6
    rows = np.array([4, 0])
    for name, array in arrays.items():
        np.testing.assert_array_equal(gallery.arrays.read(name, rows), array[rows])
    assert gallery.catalogue.paths([4, 0]) == {0: '/videos/v0.mp4', 4: '/videos/v4.mp4'}
    ((rows, paths),) = gallery.candidates(arrays['pooled'][2:3], 3)
    assert '/videos/v2.mp4' in paths
    assert paths == sorted(paths)
    assert gallery.catalogue.paths(rows.tolist()) == dict(zip(rows.tolist(), paths, strict=True))


def test_replaced_and_removed_videos(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(6)
    changed = draw_arrays(1, seed=5)
    with writing_gallery(gallery.folder) as writer:
        writer.add(files('v3', bytes=2), changed)
        assert writer.remove(['/videos/v0.mp4', '/videos/none.mp4']) == 1
    assert len(gallery) == 5
    assert sorted(paths_of(gallery)) == [f'/videos/v{i}.mp4' for i in range(1, 6)]
    ((rows, paths),) = gallery.candidates(changed['pooled'], 10)
    assert sorted(paths) == sorted(paths_of(gallery))
    row = gallery.catalogue.row_of('/videos/v3.mp4')
    np.testing.assert_array_equal(gallery.arrays.read('frames', np.array([row])), changed['frames'])
    assert gallery.catalogue.known()['/videos/v3.mp4'].bytes == 2


def test_unreadable_files_are_remembered_until_they_are_readable(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(3)
    with writing_gallery(gallery.folder) as writer:
        writer.note_unreadable(files('v1', bytes=9)[0], 'cut short')
        assert gallery.catalogue.unreadable() == {'/videos/v1.mp4': 'cut short'}
        assert len(gallery) == 2
        assert gallery.catalogue.known()['/videos/v1.mp4'].bytes == 9
        writer.add(files('v1'), draw_arrays(1))
    assert gallery.catalogue.unreadable() == {}
    assert len(gallery) == 3


def test_another_model_is_refused(new_gallery):
    gallery, _ = new_gallery(1)
    gallery.check_model(dict(weights='a'))
    with pytest.raises(GalleryError, match='made by a model with other weights'):
        gallery.check_model(dict(weights='b'))


def test_folders_that_are_no_gallery(tmp_path, new_gallery, draw_arrays):
    with pytest.raises(GalleryError, match='holds no gallery; make one'):
        Gallery(tmp_path / 'none')
    layout = layout_of(draw_arrays(1))
    gallery, _ = new_gallery(1)
    with pytest.raises(GalleryError, match='holds a gallery already'):
        Gallery.create(gallery.folder, {}, layout)
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'precious').touch()
    with pytest.raises(GalleryError, match='Nothing was changed'):
        Gallery.create(tmp_path / 'other', {}, layout)


def test_another_format_version_is_refused(new_gallery):
    gallery, _ = new_gallery(1)
    with sqlite3.connect(gallery.catalogue.file) as database:
        value = json.dumps(0)
        database.execute("UPDATE settings SET value = ? WHERE name = 'format_version'", (value,))
    with pytest.raises(ValueError, match='format version 0'):
        Gallery(gallery.folder)


def test_rows_that_do_not_fit_change_nothing(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(2)
    with writing_gallery(gallery.folder) as writer:
        with pytest.raises(ValueError, match='not as many rows'):
            writer.add(files('a', 'b'), draw_arrays(1))
        with pytest.raises(ValueError, match='has the arrays'):
            writer.add(files('a'), dict(pooled=draw_arrays(1)['pooled']))
    assert len(gallery) == 2


def test_a_transaction_is_whole_or_absent(new_gallery, files):
    gallery, _ = new_gallery(2)
    before = gallery.catalogue.state()
    with pytest.raises(sqlite3.IntegrityError):
        gallery.catalogue.add(files('new', 'twice', 'twice'))
    assert gallery.catalogue.state() == before
    assert gallery.catalogue.row_of('/videos/new.mp4') is None


def test_many_paths_at_once(tmp_path, files):
    catalogue = Catalogue(tmp_path / 'table')
    catalogue.create({})
    names = [f'{i}' for i in range(1700)]
    catalogue.add(files(*names))
    assert len(catalogue.paths(range(1700))) == 1700
    assert len(catalogue.add(files(*names))) == 1700
    assert catalogue.state().num_videos == 1700
    assert len(catalogue.removed_rows()) == 1700


def _hold(folder, is_held, may_end):
    with writing_gallery(folder):
        is_held.set()
        may_end.wait(30)


def test_one_process_writes(new_gallery):
    gallery, _ = new_gallery(1)
    context = multiprocessing.get_context('fork')
    is_held, may_end = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(gallery.folder, is_held, may_end))
    process.start()
    assert is_held.wait(30)
    with pytest.raises(RuntimeError, match='Another process'), writing_gallery(gallery.folder):
        pass
    may_end.set()
    process.join()
    with writing_gallery(gallery.folder) as writer:
        assert writer.remove(['/videos/v0.mp4']) == 1


def test_opening_costs_the_same_for_any_size(new_gallery):
    """No file of features is opened, and the table is not read through."""
    gallery, arrays = new_gallery(5000)
    Gallery(gallery.folder)
    start = time.process_time()
    for _ in range(20):
        opened = Gallery(gallery.folder)
    assert (time.process_time() - start) / 20 < 0.02
    assert opened.arrays._maps == {}
    assert len(opened) == len(arrays['pooled'])
