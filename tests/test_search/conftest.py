"""A gallery of random features, and what fills it."""

import numpy as np
import pytest

from diffusionret_mm.search import Gallery, VideoFile, writing_gallery
from diffusionret_mm.search.segments import layout_of

WIDTH, FRAMES = 16, 3


def _draw_arrays(count, seed=0):
    rng = np.random.default_rng(seed)
    pooled = rng.standard_normal((count, WIDTH)).astype(np.float32)
    return dict(
        frames=rng.standard_normal((count, FRAMES, WIDTH)).astype(np.float16),
        frame_mask=np.ones((count, FRAMES), dtype=bool),
        frame_weights=np.full((count, FRAMES), 1 / FRAMES, dtype=np.float32),
        pooled=pooled / np.linalg.norm(pooled, axis=1, keepdims=True),
    )


def _files(*names, bytes=1):
    return [VideoFile(f'/videos/{name}.mp4', bytes, 7) for name in names]


@pytest.fixture
def draw_arrays():
    """A function that draws the arrays of a number of videos."""
    return _draw_arrays


@pytest.fixture
def files():
    """A function that makes files of names."""
    return _files


@pytest.fixture
def new_gallery(tmp_path):
    """A function that makes a gallery of videos v0, v1 ...; returns it and its arrays."""

    def make(count=6, folder='gallery', **kwargs):
        arrays = _draw_arrays(count)
        Gallery.create(tmp_path / folder, dict(weights='a'), layout_of(arrays), **kwargs)
        with writing_gallery(tmp_path / folder) as writer:
            writer.add(_files(*(f'v{i}' for i in range(count))), arrays)
            return writer.gallery, arrays

    return make
