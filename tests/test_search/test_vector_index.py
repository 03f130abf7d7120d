"""The index in segments, and what is searched by parts."""

import numpy as np
import pytest

from diffusionret_mm.search import GalleryWriter, maintain, vector_index
from diffusionret_mm.search.candidates import Question, join, search_parts
from diffusionret_mm.search.vector_index import Part, parts_of, segments_of

pytest.importorskip('lance')


@pytest.fixture
def add(spans, draw_arrays):
    """A function that adds so many videos to a gallery, of names that begin alike."""

    def add_videos(gallery, count, name, seed=1):
        with GalleryWriter(gallery) as writer:
            writer.add(spans(*(f'{name}{i}' for i in range(count))), draw_arrays(count, seed))

    return add_videos


def ids_of(gallery):
    return [segment.id for segment in segments_of(gallery.spans.open())]


def rows_of(gallery):
    """Rows of each segment."""
    dataset = gallery.spans.open()
    return [
        sum(dataset.get_fragment(number).count_rows() for number in segment.fragments)
        for segment in segments_of(dataset)
    ]


def test_each_row_is_in_one_part(segmented):
    gallery, _ = segmented
    snapshot = gallery.latest()
    parts = snapshot.parts
    assert [part.lists for part in parts] == [12, 12, 12, 12, 0]  # sqrt(150); rows behind the index
    assert [part.segment is None for part in parts] == [False] * 4 + [True]
    query = np.ones((1, 16), np.float32)
    found = [search_parts(snapshot.dataset, [part], Question(query, 1000))[0] for part in parts]
    assert [len(each.rows) for each in found] == [149, 149, 150, 149, 12]
    assert len(np.unique(np.concatenate([each.rows for each in found]))) == len(snapshot) == 609


@pytest.mark.parametrize('where', [None, "path < 'v3'"])
@pytest.mark.parametrize('ranks', [2, 3, 5])
def test_parts_that_are_searched_apart_give_the_same_rows(segmented, draw_arrays, ranks, where):
    snapshot = segmented[0].latest()
    question = Question(draw_arrays(6, seed=9)['pooled'], 40, where)
    whole = search_parts(snapshot.dataset, snapshot.parts, question)
    shares = [
        search_parts(snapshot.dataset, snapshot.parts[rank::ranks], question)
        for rank in range(ranks)
    ]
    for together, *apart in zip(whole, *shares, strict=True):
        joined = join(apart, 40)
        np.testing.assert_array_equal(together.rows, joined.rows)
        np.testing.assert_array_equal(together.distances, joined.distances)
        assert len(joined.rows) == 40


def test_most_of_the_nearest_are_found_those_behind_the_index_too(segmented, draw_arrays):
    gallery, arrays = segmented
    left = np.setdiff1d(np.arange(612), [1, 200, 450])
    queries = np.concatenate([arrays['pooled'][left[-12:]], draw_arrays(20, seed=9)['pooled']])
    found = gallery.latest().candidates(queries, 40)
    shares = []
    for each, products in zip(found, queries @ arrays['pooled'][left].T, strict=True):
        best = {f'/videos/v{left[place]}.mp4' for place in np.argsort(-products)[:40]}
        shares.append(len(best & {span.path for span in each.spans}) / 40)
    assert np.mean(shares) > 0.5  # an eighth of the lists is looked into
    for place, each in zip(left[-12:], found, strict=False):
        assert f'/videos/v{place}.mp4' in {span.path for span in each.spans}
    names = {span.path for each in found for span in each.spans}
    assert not names & {'/videos/v1.mp4', '/videos/v200.mp4', '/videos/v450.mp4'}


def test_a_table_without_an_index_is_one_part(new_gallery):
    gallery, _ = new_gallery(6)
    assert parts_of(gallery.spans.open()) == [Part()]


@pytest.mark.usefixtures('small_index')
def test_a_segment_takes_up_new_rows_again_and_again(new_gallery, add):
    gallery, _ = new_gallery(400)
    maintain(gallery)
    for number in range(2):
        add(gallery, 30, f'new{number}-', seed=number)
        maintain(gallery)
    assert rows_of(gallery) == [460]
    assert parts_of(gallery.spans.open())[1:] == []


@pytest.mark.usefixtures('small_index')
def test_full_segments_stay_as_a_table_grows(new_gallery, add):
    gallery, _ = new_gallery(600, commit_rows=300)
    maintain(gallery, segment_rows=300)
    full = ids_of(gallery)
    assert rows_of(gallery) == [300, 300]
    add(gallery, 100, 'some')
    maintain(gallery, segment_rows=300)
    assert rows_of(gallery) == [300, 300, 100]
    add(gallery, 100, 'more', seed=2)
    maintain(gallery, segment_rows=300)
    assert rows_of(gallery) == [300, 300, 200]  # less than half full, so it was made anew
    assert ids_of(gallery)[:2] == full


@pytest.mark.usefixtures('small_index')
def test_segments_that_have_lost_their_rows_are_made_anew(new_gallery, add):
    gallery, arrays = new_gallery(900, commit_rows=300)
    maintain(gallery, segment_rows=300)
    names = [f'v{i}.mp4' for i in range(300)] + [f'v{i}.mp4' for i in range(310, 500)]
    GalleryWriter(gallery).remove([('videos', name) for name in names])
    assert rows_of(gallery) == [110, 300]  # all of the first are gone, and it with them
    add(gallery, 100, 'new')
    maintain(gallery, segment_rows=300)
    assert sorted(rows_of(gallery)) == [210, 300]
    (found,) = gallery.latest().candidates(arrays['pooled'][305:306], 1000)
    assert len(found.rows) == len(gallery.latest()) == 510


@pytest.mark.usefixtures('small_index')
def test_segments_of_before_are_joined_where_one_is_enough(new_gallery, add):
    gallery, _ = new_gallery(600, commit_rows=300)
    maintain(gallery, segment_rows=300)
    add(gallery, 30, 'new')
    maintain(gallery)
    assert rows_of(gallery) == [630]


@pytest.mark.parametrize(
    ('rows', 'groups'),
    [
        ([100], [[0]]),
        ([100, 100, 100], [[0], [1], [2]]),
        ([100, 3], [[0, 1]]),  # no segment of three rows
        ([40, 40, 40, 40, 40], [[0, 1], [2, 3, 4]]),
        ([350, 10], [[0], [1]]),  # a fragment is not cut
    ],
)
def test_groups_of_neighbouring_fragments(rows, groups):
    found = vector_index._groups(dict(enumerate(rows)), [[each] for each in range(len(rows))], 100)
    assert found == groups


def test_fragments_of_a_segment_stay_in_one_group():
    rows, units = [40, 25, 25, 60], [[0], [1, 2], [3]]
    assert vector_index._groups(dict(enumerate(rows)), units, 75) == [[0, 1, 2], [3]]
