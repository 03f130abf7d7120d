"""The evaluation loops keep features as they are told."""

from pathlib import Path

import pytest

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
