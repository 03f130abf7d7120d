"""What a gallery promises to those who read it."""

import json
import time

import numpy as np
import pytest

from diffusionret_mm.search import Facts, Gallery, GalleryError, GalleryWriter, layout_of
from diffusionret_mm.search.schema import FORMAT_VERSION

pytest.importorskip('lance')


def test_what_was_added_is_read_back(new_gallery):
    made, arrays = new_gallery(6)
    gallery = Gallery(made.folder)
    snapshot = gallery.latest()
    assert (len(gallery), len(snapshot)) == (6, 6)
    (found,) = snapshot.candidates(arrays['pooled'][2:3], 3)
    paths = [span.path for span in found.spans]
    assert '/videos/v2.mp4' in paths
    places = [int(path[9:-4]) for path in paths]
    for name, array in snapshot.read(found.rows, *arrays).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name][places])
    same = snapshot.find(found.spans[1].id)
    assert same.spans == found.spans[1:2]
    assert same.rows == found.rows[1:2]


def test_rows_are_read_in_the_order_in_which_they_are_asked_for(new_gallery):
    gallery, arrays = new_gallery(50)
    snapshot = gallery.latest()
    (found,) = snapshot.candidates(arrays['pooled'][:1], 50)
    place_of = {f'/videos/v{i}.mp4': i for i in range(50)}
    shuffled = np.random.default_rng(0).permutation(50)
    frames = snapshot.read(found.rows[shuffled], 'frames')['frames']
    wanted = [place_of[found.spans[place].path] for place in shuffled]
    np.testing.assert_array_equal(frames, arrays['frames'][wanted])


def test_a_search_sees_one_version(new_gallery, spans, draw_arrays):
    gallery, arrays = new_gallery(6)
    before = gallery.latest()
    with GalleryWriter(gallery) as writer:
        writer.add(spans('new'), draw_arrays(1, seed=5))
        writer.remove([('videos', 'v0.mp4')])
    assert len(before) == 6
    (found,) = before.candidates(arrays['pooled'][:1], 10)
    places = [int(span.path[9:-4]) for span in found.spans]
    assert sorted(places) == [*range(6)]
    pooled = before.read(found.rows, 'pooled')['pooled']
    np.testing.assert_array_equal(pooled, arrays['pooled'][places])
    assert gallery.latest().version > before.version
    assert gallery.latest() is gallery.latest()
    (found,) = gallery.latest().candidates(arrays['pooled'][:1], 10)
    assert {span.path[8:-4] for span in found.spans} == {'new', 'v1', 'v2', 'v3', 'v4', 'v5'}


def test_another_model_is_refused(new_gallery):
    gallery, arrays = new_gallery(1)
    gallery.check_model(dict(weights='a'))
    with pytest.raises(GalleryError, match='made by a model with other weights'):
        gallery.check_model(dict(weights='b'))
    with pytest.raises(GalleryError, match='made by a model with other weights'):
        Gallery.create(gallery.folder, Facts(dict(weights='b'), layout_of(arrays)))


def test_the_facts_of_the_model_are_kept(tmp_path, draw_arrays):
    facts = Facts(dict(weights='a'), layout_of(draw_arrays(1)), 'a = 1', 'm.pth', dict(size=224))
    Gallery.create(tmp_path / 'gallery', facts)
    assert Gallery(tmp_path / 'gallery').facts == facts


def test_folders_that_are_no_gallery(tmp_path, draw_arrays):
    facts = Facts({}, layout_of(draw_arrays(1)))
    with pytest.raises(GalleryError, match='holds no gallery; make one'):
        Gallery(tmp_path / 'none')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'precious').touch()
    with pytest.raises(GalleryError, match='Nothing was changed'):
        Gallery.create(tmp_path / 'other', facts)
    assert [path.name for path in (tmp_path / 'other').iterdir()] == ['precious']


def test_a_gallery_of_before_is_refused_with_the_command_that_converts_it(tmp_path, draw_arrays):
    (tmp_path / 'gallery.sqlite').touch()
    with pytest.raises(GalleryError, match=rf'tools/convert_gallery.py {tmp_path} NEW'):
        Gallery(tmp_path)
    with pytest.raises(GalleryError, match='convert_gallery'):
        Gallery.create(tmp_path, Facts({}, layout_of(draw_arrays(1))))


def test_another_format_version_is_refused(new_gallery):
    gallery, _ = new_gallery(1)
    dataset = gallery.spans.open()
    facts = json.loads(dataset.schema.metadata[b'diffusionret_mm'])
    text = json.dumps(facts | dict(format_version=FORMAT_VERSION + 1))
    dataset.update_schema_metadata({'diffusionret_mm': text})
    with pytest.raises(GalleryError, match=f'format version {FORMAT_VERSION + 1}, this program'):
        Gallery(gallery.folder)
    dataset.update_schema_metadata({'diffusionret_mm': None})
    with pytest.raises(GalleryError, match='another program'):
        Gallery(gallery.folder)


def test_opening_costs_the_same_for_any_size(new_gallery):
    gallery, arrays = new_gallery(5000)
    Gallery(gallery.folder)
    start = time.process_time()
    for _ in range(20):
        opened = Gallery(gallery.folder)
    assert (time.process_time() - start) / 20 < 0.05
    assert len(opened) == len(arrays['pooled'])
