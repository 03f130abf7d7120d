"""The estimator that HBI learns from, trained on the matched pairs of a data set."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis.banzhaf import train_estimator

ROOT = Path(__file__).parents[1]


@pytest.fixture
def cfg(tmp_path, tiny_model_cfg):
    cfg = Config.fromfile(ROOT / 'configs/comparison/wti.py')
    loader = cfg.train_dataloader
    loader.batch_size = 4
    loader.dataset.update(
        data_root=str(tmp_path / 'shapes'), num_scenes=dict(train=2, val=1, test=1)
    )
    parts = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity')}
    loader.dataset.pipeline[0].transforms[-1].scale = (32, 32)
    loader.dataset.pipeline[1].max_words = 16
    cfg.model = dict(type='TextVideoRetriever', loss=dict(type='ContrastiveLoss'), **parts)
    return cfg


def test_training_lowers_the_error_and_is_the_same_again(cfg):
    untrained, first = train_estimator(cfg, None, iterations=1, num_coalitions=8)
    network, explained = train_estimator(cfg, None, iterations=30, num_coalitions=8)
    assert explained > max(first, 0)
    assert network.is_trained
    again, same = train_estimator(cfg, None, iterations=1, num_coalitions=8)
    assert same == first
    for key, value in untrained.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


def test_a_similarity_without_weights_is_an_error(cfg):
    cfg.model.similarity = dict(type='CosineSimilarity')
    with pytest.raises(ValueError, match='the similarity of this config is CosineSimilarity'):
        train_estimator(cfg, None, iterations=1, num_coalitions=8)
