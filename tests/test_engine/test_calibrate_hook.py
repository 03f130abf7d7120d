"""A second stage over pairs, on views and sampled galleries, calibrated by the validation."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.run import build_runner

ROOT = Path(__file__).parents[2]


@pytest.fixture
def make_listwise(make_cfg):
    """A function that makes the config of such a run, without and with the hook."""
    published = Config.fromfile(ROOT / 'configs/second_stage/listwise_shapes.py')

    def make(name='run', **options):
        cfg = make_cfg(name, **options)
        encoder = dict(published.model.generator.encoder, hidden_width=8, pair_width=8)
        head = dict(type='CandidateListHead', pair_width=8)
        cfg.model = cfg.model.to_dict() | dict(
            generator=dict(type='ListwiseReranker', encoder=encoder, head=head),
            loss=published.model.loss.to_dict(),
            negatives='sampled_gallery',
            gallery_sizes=(6, 12),
        )
        cache = published.default_hooks.feature_cache.to_dict()
        load, _, augment, tokenize, _ = cache['pipeline']
        load['transforms'][-1]['scale'] = augment['transforms'][1]['scale'] = (32, 32)
        tokenize['max_words'] = 16
        cfg.default_hooks.feature_cache = dict(cache, views=2)
        cfg.default_hooks.calibrate = dict(type='CalibrateHook')
        cfg.train_cfg.max_epochs = 3
        return cfg

    return make


def test_a_run_is_tested_with_the_calibration_of_its_best_checkpoint(make_listwise, tmp_path):
    cfg = make_listwise()
    metrics = train_retriever(cfg)
    (best,) = (tmp_path / 'run').glob('best_*_epoch_3.pth')
    kept = torch.load(best, weights_only=False)['state_dict']['calibration']
    assert (kept[:, 0] > 0).all()
    assert kept.shape == (2, 7)  # temperature and weight, a match, and each alone
    for direction in ('t2v', 'v2t'):
        measured = {
            key.rpartition('/')[0]: value
            for key, value in metrics.items()
            if key.endswith(f'{direction}/NLL')
        }
        assert measured.keys() == {
            f'{ranking}{direction}' for ranking in ('', 'discrimination/', 'generation/')
        }
        assert all(value > 0 for value in measured.values())
        assert 0 <= metrics[f'{direction}/NM-AUROC'] <= 100
        assert 0 <= metrics[f'{direction}/NM-ECE'] <= 100
        assert f'discrimination/{direction}/NM-AUROC' in metrics
        assert f'one_draw/{direction}/R@1' not in metrics  # nothing is drawn
    again = evaluate(make_listwise('again'), str(best), None)
    assert again == pytest.approx(metrics)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    assert 'Calibrated: t2v temperature' in log
    assert log.count('Calibrated:') == 1  # stage one has nothing to calibrate


def test_a_model_without_distribution_is_refused(make_cfg):
    cfg = make_cfg()
    cfg.model = dict(
        type='TextVideoRetriever',
        backbone=cfg.model.backbone,
        similarity=dict(type='CosineSimilarity'),
        loss=dict(type='ContrastiveLoss'),
    )
    cfg.default_hooks.update(stage_switch=None, feature_cache=None)
    cfg.default_hooks.calibrate = dict(type='CalibrateHook')
    with pytest.raises(TypeError, match='this TextVideoRetriever does not generate them'):
        build_runner(cfg).train()


def test_a_direction_without_candidates_is_refused(make_listwise):
    cfg = make_listwise()
    cfg.model.num_candidates = dict(t2v=4, v2t=0)
    with pytest.raises(TypeError, match='with num_candidates 0 none'):
        build_runner(cfg).train()
