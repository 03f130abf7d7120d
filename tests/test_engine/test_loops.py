"""The evaluation loops keep features as they are told."""

import json
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.evaluator import Evaluator

from diffusionret_mm.apis.run import build_runner


def test_features_on_disk_in_half_precision(make_cfg, tmp_path):
    exact = build_runner(make_cfg('memory')).test()
    options = {'test_cfg.feature_dtype': 'float16', 'test_cfg.feature_dir': str(tmp_path / 'kept')}
    runner = build_runner(make_cfg('disk', **options))
    assert runner.test().keys() == exact.keys()
    stored = list((tmp_path / 'kept' / 'test' / 'joined').iterdir())
    log = next(Path(runner._log_dir).glob('*.log')).read_text()
    size = sum(file.stat().st_size for file in stored)
    assert f'their features take {size / 1e6:,.0f} MB on disk, the process took' in log


def test_another_dtype_is_refused(make_cfg):
    runner = build_runner(make_cfg('run', **{'test_cfg.feature_dtype': 'int8'}))
    with pytest.raises(ValueError, match='feature_dtype must be one of'):
        runner.test()


def test_runners_of_one_second_have_logs_of_their_own(make_cfg):
    runners = [build_runner(make_cfg(name)) for name in ('first', 'second', 'third')]
    for runner in runners:
        (log,) = Path(runner.log_dir).glob('*.log')
        assert runner.cfg.work_dir in log.read_text()
    assert len({runner.experiment_name for runner in runners}) == 3


@pytest.fixture
def run_test(make_cfg, run_tool, tmp_path):
    """A function that tests random weights by the tool; returns what it printed and measured."""

    def run(*arguments, status=0, **options):
        cfg = make_cfg(**options)
        cfg.dump(tmp_path / 'config.py')
        torch.manual_seed(0)
        torch.save(MODELS.build(cfg.model).state_dict(), tmp_path / 'random.pth')
        files = tmp_path / 'config.py', tmp_path / 'random.pth', '--out', tmp_path / 'out.json'
        done = run_tool('test', *files, *arguments)
        assert done.status == status, done.err
        return done, json.loads((tmp_path / 'out.json').read_text()) if status == 0 else {}

    return run


def test_an_evaluation_shows_what_each_stage_does(run_test):
    _, plain = run_test()
    done, metrics = run_test('--bootstrap', 50, **{'model.num_draws': 2})
    rankings = {key.rpartition('/')[0].rpartition('/')[0] for key in metrics}
    assert rankings == {'', 'discrimination', 'generation', 'one_draw', 'gain'}
    for name in ('generation', 'one_draw', 'gain', 'NLL', 'ECE', 'low', 'high'):
        assert name in done.out
    for direction in ('t2v', 'v2t'):
        gain = metrics[f'{direction}/R@1'] - metrics[f'discrimination/{direction}/R@1']
        assert metrics[f'gain/{direction}/R@1'] == pytest.approx(gain)
        # Final scores that are not calibrated are no distribution, and one draw is no mean.
        assert f'{direction}/NLL' not in plain
        assert plain[f'generation/{direction}/NLL'] > 0
    assert not [key for key in plain if key.startswith(('one_draw', 'gain'))]
    first = {key.partition('/')[2]: metrics[key] for key in metrics if key.startswith('one_draw')}
    assert first == pytest.approx({key: plain[f'generation/{key}'] for key in first})


def test_groups_are_those_of_the_data_set(make_cfg, monkeypatch):
    seen, process = [], Evaluator.process

    def keep(self, data_samples, data_batch=None):
        seen.extend(data_samples)
        process(self, data_samples=data_samples, data_batch=data_batch)

    monkeypatch.setattr(Evaluator, 'process', keep)
    build_runner(make_cfg()).test()
    assert seen[0]['groups'] == ['test_0000'] * 3 + ['test_0001'] * 3


def test_a_bootstrap_that_cannot_be_is_refused(run_test):
    done, _ = run_test('--bootstrap', 0, status=2)
    assert 'at least one draw; got --bootstrap 0' in done.err
    done, _ = run_test('--bootstrap', status=2, **{'test_evaluator.type': 'SeveralAnswersMetric'})
    assert 'no TextVideoRetrievalMetric in its test_evaluator' in done.err
