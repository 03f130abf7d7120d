"""A gallery of random features, and what fills it."""

import numpy as np
import pytest

from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryWriter,
    Libraries,
    Span,
    VideoFile,
    layout_of,
    maintain,
    vector_index,
)

WIDTH, FRAMES = 16, 3


def _draw_arrays(count, seed=0):
    rng = np.random.default_rng(seed)
    pooled = rng.standard_normal((count, WIDTH)).astype(np.float32)
    return dict(
        pooled=pooled / np.linalg.norm(pooled, axis=1, keepdims=True),
        frames=rng.standard_normal((count, FRAMES, WIDTH)).astype(np.float16),
        frame_weights=np.full((count, FRAMES), 1 / FRAMES, dtype=np.float32),
        mask=np.arange(FRAMES) <= rng.integers(0, FRAMES, (count, 1)),
    )


def _files(*names, bytes=1):
    return [VideoFile('videos', f'{name}.mp4', bytes, 7_000_000) for name in names]


def _spans(*names, end=5.0, **kwargs):
    return [Span(file, 0.0, end) for file in _files(*names, **kwargs)]


@pytest.fixture
def draw_arrays():
    """A function that draws the arrays of a number of spans."""
    return _draw_arrays


@pytest.fixture
def files():
    """A function that makes files of names."""
    return _files


@pytest.fixture
def spans():
    """A function that makes spans of whole videos of names."""
    return _spans


def _make_gallery(folder, count, commit_rows=None, **facts):
    arrays = _draw_arrays(count)
    libraries = Libraries(dict(videos='/videos'))
    facts = Facts(dict(weights='a'), layout_of(arrays), **facts)
    gallery = Gallery.create(folder, facts, libraries)
    names = [f'v{i}' for i in range(count)]
    for start in range(0, count, commit_rows or count):
        part = slice(start, start + (commit_rows or count))
        with GalleryWriter(gallery) as writer:
            writer.add(_spans(*names[part]), {name: each[part] for name, each in arrays.items()})
    return gallery, arrays


@pytest.fixture
def new_gallery(tmp_path):
    """A function that makes a gallery of videos v0, v1 ...; returns it and its arrays."""

    def make(count=6, folder=None, **options):
        return _make_gallery(folder or tmp_path / 'gallery', count, **options)

    return make


def _allow_small_indices(monkeypatch):
    monkeypatch.setattr(vector_index, 'EXACT_ROWS', 300)
    monkeypatch.setattr(vector_index, 'ROWS_BEHIND', 20)


@pytest.fixture
def small_index(monkeypatch):
    """Let an index be made of few rows."""
    _allow_small_indices(monkeypatch)


@pytest.fixture(scope='session')
def segmented(tmp_path_factory):
    """A gallery that no test changes, and its arrays: an index of four segments of 150 rows.

    Twelve rows are behind the index, and three were removed.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        _allow_small_indices(monkeypatch)
        folder = tmp_path_factory.mktemp('segmented') / 'gallery'
        gallery, arrays = _make_gallery(folder, 600, commit_rows=150)
        maintain(gallery, segment_rows=150)
    new = _draw_arrays(12, seed=1)
    with GalleryWriter(gallery) as writer:
        writer.add(_spans(*(f'v{600 + i}' for i in range(12))), new)
        writer.remove([('videos', f'v{i}.mp4') for i in (1, 200, 450)])
    arrays = {name: np.concatenate([each, new[name]]) for name, each in arrays.items()}
    return Gallery(folder), arrays
