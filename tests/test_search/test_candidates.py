"""The first step of a search."""

import numpy as np
import pytest

from diffusionret_mm.search import GalleryWriter, Span, maintain

lance = pytest.importorskip('lance')


def names_of(candidates):
    return sorted(span.path[8:-4] for span in candidates.spans)


@pytest.mark.parametrize('count', [5, 60])
def test_they_have_the_largest_inner_products(new_gallery, draw_arrays, count):
    gallery, arrays = new_gallery(50)
    queries = draw_arrays(4, seed=9)['pooled']
    found = gallery.latest().candidates(queries, count)
    products = queries @ arrays['pooled'].T
    for each, row in zip(found, products, strict=True):
        best = np.argsort(-row)[:count]
        assert names_of(each) == sorted(f'v{place}' for place in best)


def test_batches_change_nothing(new_gallery, draw_arrays):
    gallery, _ = new_gallery(50)
    queries = draw_arrays(4, seed=9)['pooled']
    together = gallery.latest().candidates(queries, 7)
    alone = [gallery.latest().candidates(query[None], 7)[0] for query in queries]
    assert [names_of(each) for each in together] == [names_of(each) for each in alone]


@pytest.mark.usefixtures('small_index')
@pytest.mark.parametrize('has_index', [False, True])
def test_conditions_hold_before_vectors_are_compared(new_gallery, has_index):
    gallery, arrays = new_gallery(400)
    if has_index:
        maintain(gallery)
    query = arrays['pooled'][7:8]
    farthest = np.argsort(query @ arrays['pooled'].T)[0, :3]
    paths = ', '.join(f"'v{place}.mp4'" for place in farthest)
    (found,) = gallery.latest().candidates(query, 3, f'path IN ({paths})')
    assert names_of(found) == sorted(f'v{place}' for place in farthest)


def test_conditions_on_metadata_and_times(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(3)
    (file,) = files('long')
    windows = [
        Span(file, 10.0 * i, 10.0 * i + 10, 'window', dict(place="O'Hara", year=2000 + i))
        for i in range(4)
    ]
    with GalleryWriter(gallery) as writer:
        writer.add(windows, draw_arrays(4))
    query = draw_arrays(1)['pooled']

    def starts(where):
        (found,) = gallery.latest().candidates(query, 9, where)
        return sorted(span.start for span in found.spans)

    assert starts("json_get_int(metadata, 'year') > 2001") == [20, 30]
    assert starts("json_get_string(metadata, 'place') = 'O''Hara'") == [0, 10, 20, 30]
    assert starts("kind = 'window' AND start < 15") == [0, 10]
    assert starts("mtime < timestamp '1970-01-01 00:00:01' AND kind = 'video'") == [0, 0, 0]
    assert starts("mtime > date '1970-01-02'") == []


def test_a_row_that_two_writers_inserted_counts_once(new_gallery):
    gallery, arrays = new_gallery(6)
    dataset = gallery.spans.open()
    again = dataset.to_table(filter="path = 'v2.mp4'")
    lance.write_dataset(again, gallery.spans.place, mode='append')
    snapshot = gallery.latest()
    assert len(snapshot) == 7
    (found,) = snapshot.candidates(arrays['pooled'][2:3], 10)
    assert names_of(found) == [f'v{i}' for i in range(6)]
    assert len(snapshot.find(found.spans[2].id).spans) == 1
    writer = GalleryWriter(gallery)
    assert writer.remove([('videos', 'v2.mp4')]) == 1
    assert len(gallery.latest()) == 5


def test_they_are_in_the_order_of_their_ids_however_they_were_added(
    new_gallery, spans, draw_arrays
):
    gallery, _ = new_gallery(1)
    same = {name: np.repeat(array, 5, axis=0) for name, array in draw_arrays(1, seed=4).items()}
    with GalleryWriter(gallery) as writer:
        writer.add(spans('e', 'b', 'd', 'a', 'c'), same)
    (found,) = gallery.latest().candidates(same['pooled'][:1], 5)
    assert names_of(found) == ['a', 'b', 'c', 'd', 'e']
    ids = [span.id for span in found.spans]
    assert ids == sorted(ids)
    assert found.at([3, 1]) == [found.spans[3], found.spans[1]]
