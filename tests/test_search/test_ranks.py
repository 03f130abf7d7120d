"""A search by ranks, of which there is one; tests of `apis/serving.py` have several."""

import pytest
from torch import distributed

from diffusionret_mm.search import Gallery, GalleryError, Ranks, ranks, spans_of

pytest.importorskip('lance')


@pytest.fixture
def group():
    """A process group of this process alone."""
    distributed.init_process_group('gloo', store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.fixture
def searchers(segmented, group):
    return Ranks(spans_of(segmented[0].folder))


def test_rank_0_finds_what_a_process_alone_finds(segmented, searchers, draw_arrays):
    gallery, _ = segmented
    queries = draw_arrays(4, seed=9)['pooled']
    shared = Gallery(gallery.folder, searchers=searchers)
    for where in (None, "path < 'v3'"):
        alone = gallery.latest().candidates(queries, 40, where)
        found = shared.latest().candidates(queries, 40, where)
        assert [each.rows.tolist() for each in found] == [each.rows.tolist() for each in alone]


def test_what_a_rank_cannot_read_is_a_sentence(segmented, searchers, draw_arrays, monkeypatch):
    def fail(*args):
        raise OSError('Not found: auxiliary.idx')

    gallery = Gallery(segmented[0].folder, searchers=searchers)
    query = draw_arrays(1)['pooled']
    reason = 'spans.lance cannot be used: Not found: auxiliary.idx. It is damaged'
    with monkeypatch.context() as patch:
        patch.setattr(ranks, 'search_parts', fail)
        with pytest.raises(GalleryError, match=f'^Process 0 of 1: .*{reason}'):
            gallery.latest().candidates(query, 5)
    assert len(gallery.latest().candidates(query, 5)[0].rows) == 5  # the next search goes on


def test_a_connection_that_breaks_is_a_sentence(segmented, searchers, draw_arrays, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError('Connection closed by peer')

    gallery = Gallery(segmented[0].folder, searchers=searchers)
    monkeypatch.setattr(distributed, 'gather_object', fail)
    with pytest.raises(GalleryError, match='has ended, or has not answered for 10 minutes. Start'):
        gallery.latest().candidates(draw_arrays(1)['pooled'], 5)
    monkeypatch.setattr(distributed, 'broadcast_object_list', fail)
    searchers.dismiss()  # there is nobody left


@pytest.mark.parametrize(('count', 'most'), [(5, 4), (8, 4)])
def test_more_processes_than_segments_are_refused(segmented, searchers, count, most):
    searchers.count = count
    with pytest.raises(GalleryError, match=f'has 4 segments, too few for {count} .* most {most}'):
        Gallery(segmented[0].folder, searchers=searchers)


def test_processes_are_refused_where_there_is_no_index(new_gallery, searchers):
    gallery, _ = new_gallery(6)
    searchers.count = 2
    with pytest.raises(GalleryError, match='has 0 segments, too few for 2 .* start at most 1'):
        Gallery(gallery.folder, searchers=searchers)
