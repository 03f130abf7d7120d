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
    candidates,
    layout_of,
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


@pytest.fixture
def new_gallery(tmp_path):
    """A function that makes a gallery of videos v0, v1 ...; returns it and its arrays."""

    def make(count=6, folder=None, **facts):
        arrays = _draw_arrays(count)
        libraries = Libraries(dict(videos='/videos'))
        facts = Facts(dict(weights='a'), layout_of(arrays), **facts)
        gallery = Gallery.create(folder or tmp_path / 'gallery', facts, libraries)
        with GalleryWriter(gallery) as writer:
            writer.add(_spans(*(f'v{i}' for i in range(count))), arrays)
        return gallery, arrays

    return make


@pytest.fixture
def small_index(monkeypatch):
    """Let an index be made of few rows."""
    monkeypatch.setattr(candidates, 'EXACT_ROWS', 300)
    monkeypatch.setattr(candidates, 'ROWS_BEHIND', 20)
