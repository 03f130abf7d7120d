"""FAISS and Qdrant find the same rows as a matrix product."""

import numpy as np
import pytest

from diffusionret_mm.search import Gallery, GalleryError, first_step, writing_gallery

pytest.importorskip('faiss')


def exact(arrays, query, count, without=()):
    scores = arrays['pooled'] @ query
    scores[list(without)] = -np.inf
    return np.argsort(-scores)[:count].tolist()


@pytest.fixture
def queries(draw_arrays):
    return draw_arrays(5, seed=1)['pooled']


@pytest.mark.parametrize('kind', ['faiss', 'qdrant'])
def test_the_nearest_are_found(kind, new_gallery, queries, tmp_path):
    if kind == 'qdrant':
        pytest.importorskip('qdrant_client')
    place = str(tmp_path / 'db') if kind == 'qdrant' else None
    gallery, arrays = new_gallery(50, qdrant=place)
    rows, scores = gallery.first_step.search(queries, 7)
    for query, found, score in zip(queries, rows, scores, strict=True):
        assert found.tolist() == exact(arrays, query, 7)
        np.testing.assert_allclose(score, arrays['pooled'][found] @ query, rtol=1e-5, atol=1e-6)
    rows, scores = gallery.first_step.search(queries, 60)
    assert (rows[:, 50:] == first_step.NO_ROW).all()
    assert sorted(rows[0, :50]) == list(range(50))


@pytest.mark.parametrize('kind', ['faiss', 'qdrant'])
def test_removed_videos_are_not_found(kind, new_gallery, queries, tmp_path):
    if kind == 'qdrant':
        pytest.importorskip('qdrant_client')
    place = str(tmp_path / 'db') if kind == 'qdrant' else None
    gallery, arrays = new_gallery(50, qdrant=place)
    best = exact(arrays, queries[0], 2)
    if kind == 'qdrant':
        gallery.first_step.close()  # one process, one client
    with writing_gallery(gallery.folder) as writer:
        assert writer.remove([f'/videos/v{row}.mp4' for row in (*best, 99)]) == 2
        rows, _ = writer.gallery.first_step.search(queries, 48)
    assert rows[0].tolist() == exact(arrays, queries[0], 48, without=best)


@pytest.fixture
def small_index(monkeypatch):
    """Galleries of more than 100 videos get inverted lists, all of which are looked into."""
    monkeypatch.setattr(first_step, 'EXACT_ROWS', 100)
    monkeypatch.setattr(first_step, 'PROBED_SHARE', 1)


def test_a_large_gallery_gets_an_index(small_index, new_gallery, queries):
    gallery, arrays = new_gallery(400)
    state = gallery.catalogue.state()
    assert state.index_rows == 400
    rows, scores = gallery.first_step.search(queries, 10)
    for query, found, score in zip(queries, rows, scores, strict=True):
        assert len({*found} & {*exact(arrays, query, 10)}) >= 9  # half precision
        np.testing.assert_allclose(score, arrays['pooled'][found] @ query, atol=2e-3)


def test_an_index_and_the_rows_behind_it_are_searched_together(
    small_index, new_gallery, queries, draw_arrays, files
):
    gallery, arrays = new_gallery(400)
    more = draw_arrays(60, seed=2)
    with writing_gallery(gallery.folder) as writer:
        writer.add(files(*(f'w{i}' for i in range(60))), more)
    together = dict(pooled=np.concatenate([arrays['pooled'], more['pooled']]))
    assert gallery.catalogue.state().index_rows == 400
    wanted = exact(together, queries[0], 20)
    assert min(wanted) < 400 <= max(wanted)
    rows, _ = gallery.first_step.search(queries, 20)
    assert len({*rows[0]} & {*wanted}) >= 19
    # Removed from the index and from behind it.
    gone = [row for row in wanted if row < 400][:2] + [row for row in wanted if row >= 400][:2]
    with writing_gallery(gallery.folder) as writer:
        names = [f'v{row}' if row < 400 else f'w{row - 400}' for row in gone]
        writer.remove([f'/videos/{name}.mp4' for name in names])
    rows, _ = gallery.first_step.search(queries, 456)
    assert sorted(rows[0]) == sorted({*range(460)} - {*gone})


def test_an_index_takes_up_what_came_later(small_index, new_gallery, queries, draw_arrays, files):
    gallery, arrays = new_gallery(400)
    gallery.first_step.search(queries, 3)
    first = gallery.catalogue.state().index_file
    more = draw_arrays(150, seed=2)
    with writing_gallery(gallery.folder) as writer:
        writer.remove(['/videos/v7.mp4'])
        writer.add(files(*(f'w{i}' for i in range(150))), more)
    state = gallery.catalogue.state()
    assert state.index_rows == 550
    assert state.index_file != first
    assert [file.name for file in gallery.folder.glob('*.faiss')] == [state.index_file]
    rows, _ = gallery.first_step.search(queries, 549)  # an open reader takes the new file
    assert sorted(rows[0]) == sorted({*range(550)} - {7})


def test_a_missing_index_is_named(small_index, new_gallery, queries):
    gallery, _ = new_gallery(400)
    (gallery.folder / gallery.catalogue.state().index_file).unlink()
    with pytest.raises(GalleryError, match='copy it with the other files'):
        Gallery(gallery.folder).first_step.search(queries, 3)
