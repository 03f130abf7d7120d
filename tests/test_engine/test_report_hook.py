"""The report of a run."""

import json

import pytest

from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.run import test_retriever as evaluate
from diffusionret_mm.visualization import SplitPictures
from diffusionret_mm.visualization.report_hook import ReportHook

DRAW = {'default_hooks.report': dict(draw=True, num_queries=1, num_failures=1)}


def test_reports_of_a_training_and_of_a_mere_test(make_cfg, tmp_path, monkeypatch):
    metrics = train_retriever(make_cfg(**{'train_cfg.max_epochs': 1}, **DRAW))
    text = (tmp_path / 'run/report.html').read_text()
    assert f'<td class="number">{metrics["t2v/R@1"]:.2f}</td>' in text
    assert 'Checkpoint best_t2v_R@1_epoch_1.pth.' in text
    assert 'alt="Losses, R@1 of the validations, learning rate"' in text
    (folder,) = (tmp_path / 'run').glob('*/vis_data/vis_image')
    assert (folder / 'similarity_3.png').is_file()  # of step 3

    best = next((tmp_path / 'run').glob('best_*'))
    alone = {'model.stage': 'discrimination'}
    cfg = make_cfg('test', **alone, **DRAW)
    cfg.train_dataloader.dataset.data_root = str(tmp_path / 'nothing')
    evaluate(cfg, str(best), out=None)
    assert 'diffuses nothing' in (tmp_path / 'test/report.html').read_text()
    assert not (tmp_path / 'nothing').exists()  # no training data was made

    def fail(self):
        raise RuntimeError('out of ink')

    monkeypatch.setattr(SplitPictures, 'recall', fail)
    evaluate(make_cfg('broken', **alone, **DRAW), str(best), out=str(tmp_path / 'metrics.json'))
    assert not (tmp_path / 'broken/report.html').exists()
    (log,) = (tmp_path / 'broken').glob('*/*.log')
    assert 'could not be written' in log.read_text()
    assert 'out of ink' in log.read_text()
    assert 't2v/R@1' in json.loads((tmp_path / 'metrics.json').read_text())


def test_bad_options():
    with pytest.raises(ValueError, match='num_queries and num_failures count from 1'):
        ReportHook(num_queries=0)
