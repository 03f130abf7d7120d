"""A gallery of imported features, searched by features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.apis.feature_search import FeatureSearcher
from diffusionret_mm.features import FeatureStore
from diffusionret_mm.features.importing import Sources, import_features
from diffusionret_mm.search import GalleryError

VIDEOS = 7


@pytest.fixture(scope='module')
def imported(tmp_path_factory):
    """Imported features of seven videos of four frames, with a text each that is near to it."""
    folder = tmp_path_factory.mktemp('gallery')
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((VIDEOS, 4, 64), dtype=np.float32)
    words = frames.mean(axis=1)[:, None] + 0.2 * rng.standard_normal((VIDEOS, 3, 64), dtype='f4')
    ids = np.array([f'v{row}' for row in range(VIDEOS)])
    np.savez(
        folder / 'both.npz',
        **{'videos/features': frames, 'videos/ids': ids},
        **{'texts/features': words, 'texts/ids': ids, 'texts/pooled': words.mean(axis=1)},
    )
    sources = Sources()
    sources.add(folder / 'both.npz')
    import_features(sources, folder / 'features', names={}, log=lambda text: None)
    return folder / 'features'


@pytest.fixture
def model_cfg(tiny_model_cfg, imported):
    """Config of a DiffusionRet in its second stage on these features."""
    model = tiny_model_cfg | dict(backbone=None, temporal=None, stage='generation')
    dataset = dict(type='FeatureDataset', data_root=str(imported), pipeline=[])
    return Config(dict(model=model, test_dataloader=dict(dataset=dataset)))


@pytest.fixture
def make(model_cfg, tmp_path):
    """A function that makes a searcher with random weights."""

    def build(seed=0):
        torch.manual_seed(seed)
        state = MODELS.build(model_cfg.model | dict(embed_dim=64)).state_dict()
        torch.save(dict(state_dict=state, meta={}), tmp_path / f'{seed}.pth')
        return FeatureSearcher(model_cfg, tmp_path / f'{seed}.pth', device='cpu')

    return build


def test_hits_have_the_scores_of_the_evaluation(make, imported, tmp_path):
    searcher, store = make(), FeatureStore.open(imported)
    gallery = searcher.index(imported, tmp_path / 'gallery')
    assert len(gallery) == VIDEOS
    texts, videos = store.texts(np.arange(VIDEOS)), store.videos(np.arange(VIDEOS))
    with torch.no_grad():
        scores = searcher.model.similarity(texts, videos)
    names = [f'v{row}' for row in range(VIDEOS)]
    for row, result in enumerate(searcher.search(names, texts, gallery, top_k=VIDEOS)):
        found = {Path(hit.video).name: hit.similarity for hit in result.hits}
        expected = dict(zip(names, scores[row].tolist(), strict=True))
        assert found == pytest.approx(expected, abs=2e-3)  # frames are kept in half precision
    again = searcher.index(imported, tmp_path / 'gallery')
    assert len(again) == VIDEOS


def test_another_model_and_a_model_with_a_backbone_are_refused(
    make, imported, tmp_path, tiny_model_cfg
):
    gallery = make().index(imported, tmp_path / 'gallery')
    texts = FeatureStore.open(imported).texts(np.arange(1))
    with pytest.raises(GalleryError):
        make(seed=1).search(['v0'], texts, gallery)
    with pytest.raises(ValueError, match='has a backbone; index videos with it by'):
        FeatureSearcher(Config(dict(model=tiny_model_cfg)))


def test_tools_that_encode_refuse_the_gallery_in_a_sentence(make, imported, tmp_path, run_tool):
    make().index(imported, tmp_path / 'gallery')
    done = run_tool('search', tmp_path / 'gallery', 'a red box')
    assert done.status == 2
    assert 'has backbone=None: its features were imported' in done.err
