"""Features of a few videos and texts, and the tool that imports them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from diffusionret_mm.features import FeatureStore

VIDEOS = ('v2', 'v0', 'v1')
TEXTS = ('v0#0', 'v0#1', 'v1', 'v2')


@pytest.fixture
def data():
    """Videos [3, 4, 8] with masks, and texts [4, 5, 8] with masks and pooled features."""
    rng = np.random.default_rng(0)
    lengths = np.array([2, 5, 3, 4])
    videos = dict(
        features=rng.standard_normal((3, 4, 8), dtype=np.float32),
        mask=np.arange(4) < np.array([[4], [2], [3]]),
        ids=np.array(VIDEOS),
    )
    texts = dict(
        features=rng.standard_normal((4, 5, 8), dtype=np.float32),
        mask=np.arange(5) < lengths[:, None],
        pooled=rng.standard_normal((4, 8), dtype=np.float32),
        ids=np.array(TEXTS),
    )
    return SimpleNamespace(videos=videos, texts=texts)


@pytest.fixture
def flat(data):
    """One vector a video and text."""
    return SimpleNamespace(
        videos=dict(features=data.videos['features'][:, 0], ids=data.videos['ids']),
        texts=dict(features=data.texts['pooled'], ids=data.texts['ids']),
    )


@pytest.fixture
def import_tool(run_tool, tmp_path):
    """A function that imports into a folder and returns what was printed and the features."""

    def run(*arguments, out='imported'):
        done = run_tool('import_features', *arguments, '--out', tmp_path / out)
        assert (done.status, done.err) == (0, ''), done.err
        return done.out, FeatureStore.open(tmp_path / out)

    return run


@pytest.fixture
def refused(run_tool, tmp_path):
    """A function that returns the one sentence with which an import is refused."""

    def run(*arguments):
        done = run_tool('import_features', *arguments, '--out', tmp_path / 'refused')
        assert done.status == 2
        assert done.err.count('\n') == 1
        assert not Path(tmp_path / 'refused').exists()
        return done.err

    return run
