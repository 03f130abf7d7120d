"""What keeps a gallery fast and small."""

import threading
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from diffusionret_mm.search import Gallery, GalleryWriter, maintain, maintenance, vector_index

pytest.importorskip('lance')


def size_of(gallery):
    return sum(path.stat().st_size for path in Path(gallery.folder).rglob('*') if path.is_file())


def test_the_room_of_removed_videos_comes_back(new_gallery):
    gallery, arrays = new_gallery(4000)
    before = size_of(gallery)
    GalleryWriter(gallery).remove([('videos', f'v{i}.mp4') for i in range(0, 4000, 2)])
    maintain(gallery, keep=timedelta(0))
    assert size_of(gallery) < 0.6 * before
    assert len(gallery) == len(gallery.latest()) == 2000
    (found,) = gallery.latest().candidates(arrays['pooled'][3:4], 5)
    assert '/videos/v3.mp4' in {span.path for span in found.spans}
    frames = gallery.latest().read(found.rows, 'frames')['frames']
    places = [int(span.path[9:-4]) for span in found.spans]
    np.testing.assert_array_equal(frames, arrays['frames'][places])


def test_small_commits_are_written_together(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(2)
    for number in range(6):
        with GalleryWriter(gallery) as writer:
            writer.add(spans(f'new{number}'), draw_arrays(1))
    assert len(gallery.spans.open().get_fragments()) == 7
    maintain(gallery)
    assert len(gallery.spans.open().get_fragments()) == 1
    assert len(gallery.latest()) == 8


def test_a_reader_of_an_older_version_goes_on(new_gallery, spans, draw_arrays):
    gallery, arrays = new_gallery(6)
    before = Gallery(gallery.folder).latest()
    with GalleryWriter(gallery) as writer:
        writer.add(spans('v0', end=9.0), draw_arrays(1, seed=3))
    maintain(gallery)
    (found,) = before.candidates(arrays['pooled'][:1], 6)
    pooled = before.read(found.rows, 'pooled')['pooled']
    places = [int(span.path[9:-4]) for span in found.spans]
    assert sorted(places) == [*range(6)]
    np.testing.assert_array_equal(pooled, arrays['pooled'][places])


def test_one_process_maintains_at_a_time(new_gallery, monkeypatch):
    gallery, _ = new_gallery(2)
    inside, most = [], []
    both = threading.Barrier(2)

    def update_index(table, segment_rows):
        inside.append(1)
        most.append(len(inside))
        inside.pop()

    def run():
        both.wait()
        maintain(gallery)

    monkeypatch.setattr(maintenance, 'update_index', update_index)
    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1]


def behind(gallery):
    return gallery.spans.open().stats.index_stats(vector_index.INDEX)['num_unindexed_rows']


def lists(gallery):
    return [segment.lists for segment in vector_index.segments_of(gallery.spans.open())]


def top(gallery, query, count=10):
    (found,) = gallery.latest().candidates(query[None], count)
    return {span.path for span in found.spans}


@pytest.mark.usefixtures('small_index')
def test_an_index_is_made_and_takes_up_the_rows_behind_it(new_gallery, spans, draw_arrays):
    gallery, arrays = new_gallery(400)
    assert lists(gallery) == []
    maintain(gallery)
    assert lists(gallery) == [20]
    assert '/videos/v7.mp4' in top(gallery, arrays['pooled'][7])
    new = draw_arrays(30, seed=1)
    with GalleryWriter(gallery) as writer:
        writer.add(spans(*(f'new{i}' for i in range(30))), new)
    assert behind(gallery) == 30
    assert '/videos/new3.mp4' in top(gallery, new['pooled'][3])  # rows behind it are found
    maintain(gallery)
    assert behind(gallery) == 0
    assert lists(gallery) == [20]  # those of before took them up
    assert '/videos/new3.mp4' in top(gallery, new['pooled'][3])
    assert len(gallery.latest()) == 430


@pytest.mark.usefixtures('small_index')
def test_rows_that_are_replaced_or_removed_are_not_found_by_the_index(
    new_gallery, spans, draw_arrays
):
    gallery, arrays = new_gallery(400)
    maintain(gallery)
    changed = dict(draw_arrays(1), pooled=-arrays['pooled'][7:8])
    with GalleryWriter(gallery) as writer:
        writer.add(spans('v7'), changed)
        writer.remove([('videos', 'v9.mp4')])
    assert '/videos/v7.mp4' not in top(gallery, arrays['pooled'][7])
    assert '/videos/v7.mp4' in top(gallery, changed['pooled'][0])
    assert '/videos/v9.mp4' not in top(gallery, arrays['pooled'][9])
    maintain(gallery)
    assert '/videos/v7.mp4' in top(gallery, changed['pooled'][0])
    assert '/videos/v9.mp4' not in top(gallery, arrays['pooled'][9])


@pytest.mark.usefixtures('small_index')
def test_the_lists_are_made_anew_when_the_gallery_has_grown(
    new_gallery, spans, draw_arrays, monkeypatch
):
    gallery, _ = new_gallery(400)
    maintain(gallery)
    monkeypatch.setattr(vector_index, 'RETRAIN_FACTOR', 1.2)
    with GalleryWriter(gallery) as writer:
        writer.add(spans(*(f'new{i}' for i in range(400))), draw_arrays(400, seed=1))
    maintain(gallery)
    assert lists(gallery) == [int(800**0.5)]
    assert behind(gallery) == 0


@pytest.mark.usefixtures('small_index')
def test_an_index_of_many_equal_vectors(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(1)
    few = draw_arrays(9, seed=1)
    many = {name: np.tile(array, (600, *[1] * (array.ndim - 1))) for name, array in few.items()}
    with GalleryWriter(gallery) as writer:
        writer.add(spans(*(f'{number // 9}-{number % 9}' for number in range(5400))), many)
    maintain(gallery)
    (number,) = lists(gallery)
    assert 1 <= number < int(4 * 5401**0.5)
    names = top(gallery, few['pooled'][3], 40)
    assert len(names) == 40
    assert all(name.endswith('-3.mp4') for name in names)
