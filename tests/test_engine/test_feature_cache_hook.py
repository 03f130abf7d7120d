"""Runs with the cache are the runs without it."""

import copy
import json
import os
from pathlib import Path

import pytest
import torch

from diffusionret_mm.apis.run import build_runner


def losses_of(cfg):
    """Train; return the losses of every iteration, and the runner."""
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor.window_size = 1
    cfg.default_hooks.checkpoint.save_best = None
    cfg.default_hooks.stage_switch.load_best = False
    runner = build_runner(cfg)
    runner.train()
    lines = (Path(runner._log_dir) / 'vis_data' / 'scalars.json').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [record['loss'] for record in records if 'loss' in record], runner


def without_cache(cfg):
    del cfg.default_hooks.feature_cache
    return cfg


def assert_same_ends(one, other):
    for (name, value), found in zip(
        one.model.state_dict().items(), other.model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(found, value, rtol=1e-4, atol=1e-5, msg=name)


def test_both_stages_have_the_losses_of_a_run_without_cache(make_cfg, tmp_path):
    plain, one = losses_of(without_cache(make_cfg('plain')))
    cached, two = losses_of(make_cfg('cached'))
    assert len(plain) == 12
    torch.testing.assert_close(torch.tensor(cached), torch.tensor(plain), rtol=1e-6, atol=1e-5)
    assert_same_ends(one, two)
    assert 'texts' not in next(iter(one.train_loop.dataloader))['inputs']
    assert 'texts' in next(iter(two.train_loop.dataloader))['inputs']
    assert (tmp_path / 'cached' / 'feature_cache' / 'manifest.json').is_file()


@pytest.mark.parametrize('negatives', ['batch', 'training_set'])
def test_a_run_resumed_in_stage_two_finds_the_cache(make_cfg, tmp_path, negatives):
    options = {
        'model.negatives': negatives,
        'default_hooks.feature_cache.directory': str(tmp_path / 'cache'),
    }
    losses_of(make_cfg('whole', **options))
    manifest = tmp_path / 'cache' / 'manifest.json'
    built = manifest.stat().st_mtime_ns
    path = str(tmp_path / 'whole' / 'epoch_3.pth')
    losses, runner = losses_of(make_cfg('part', resume=True, load_from=path, **options))
    assert len(losses) == 3
    assert manifest.stat().st_mtime_ns == built
    assert 'texts' in next(iter(runner.train_loop.dataloader))['inputs']


def test_the_second_stage_alone_and_a_changed_video(make_cfg, tmp_path, data_root):
    losses_of(make_cfg('one'))
    options = dict(load_from=str(tmp_path / 'one' / 'epoch_2.pth'))
    options |= {'default_hooks.stage_switch.begin': 0, 'train_cfg.max_epochs': 1}
    options |= {'default_hooks.feature_cache.directory': str(tmp_path / 'one' / 'feature_cache')}
    log = [losses_of(make_cfg(name, **options))[1] for name in ('two', 'three')]
    assert all('Building the feature cache' not in text_of(runner) for runner in log)
    os.utime(data_root / 'videos' / 'train_0000_original.mp4')
    runner = losses_of(make_cfg('four', **options))[1]
    assert 'it was made of other data' in text_of(runner)


def text_of(runner):
    return next(Path(runner._log_dir).glob('*.log')).read_text()


def test_random_frames_are_refused_before_the_first_step(make_cfg):
    cfg = make_cfg()
    decode, resize = copy.deepcopy(cfg.load_frames.transforms)
    decode.sample.rule = 'random'
    cfg.train_dataloader.dataset.pipeline[:1] = [decode, resize]
    runner = build_runner(cfg)
    with pytest.raises(ValueError, match='pipeline draws at random'):
        runner.train()
    assert runner.iter == 0
    cfg.default_hooks.feature_cache.pipeline = 'val_dataloader'
    losses, _ = losses_of(cfg)
    assert len(losses) == 12


def test_a_missing_data_loader_is_named(make_cfg):
    cfg = make_cfg()
    cfg.default_hooks.feature_cache.pipeline = 'valid_dataloader'
    with pytest.raises(ValueError, match='transforms of valid_dataloader, and the config has none'):
        build_runner(cfg).train()
