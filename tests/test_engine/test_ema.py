"""Averaged weights beside the trained ones."""

import json
from pathlib import Path

import pytest
import torch

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis.run import build_runner

EMA = {'default_hooks.ema': dict(type='EMABesideHook', momentum=0.25)}


def hook_of(runner):
    return next(hook for hook in runner.hooks if type(hook).__name__ == 'EMABesideHook')


def test_the_average_is_a_moving_one_from_a_copy_of_the_model(make_cfg):
    cfg = make_cfg(**EMA, **{'train_cfg.max_epochs': 2})
    runner = build_runner(cfg)
    hook = hook_of(runner)
    start, update = hook.before_train_epoch, hook.after_train_iter
    expected = []

    def copy_at_first(*args):
        start(*args)
        expected.extend([] if expected else [p.detach().clone() for p in runner.model.parameters()])

    def follow(*args, **kwargs):
        update(*args, **kwargs)
        for old, new in zip(expected, runner.model.parameters(), strict=True):
            old.lerp_(new.detach(), 0.25)

    hook.before_train_epoch, hook.after_train_iter = copy_at_first, follow
    runner.train()
    for old, average in zip(expected, hook.ema_model.module.parameters(), strict=True):
        torch.testing.assert_close(average, old)


def test_both_are_evaluated_and_saved(make_cfg, tmp_path):
    runner = build_runner(make_cfg('run', **EMA))
    runner.train()
    lines = next((tmp_path / 'run').glob('*/vis_data/scalars.json')).read_text().splitlines()
    validations = [row for row in map(json.loads, lines) if 't2v/R@1' in row]
    assert len(validations) == 4
    assert all('ema/t2v/R@1' in row and 'ema/v2t/MnR' in row for row in validations)
    path = tmp_path / 'run' / 'epoch_4.pth'
    state = torch.load(path, weights_only=False)
    for name, weight in runner.model.state_dict().items():
        assert torch.equal(state['state_dict'][name], weight)
    generators = [name for name in state['state_dict'] if name.startswith('generators.')]
    assert any(
        not torch.equal(state['ema_state_dict'][f'module.{name}'], state['state_dict'][name])
        for name in generators
    )
    metrics = evaluate(make_cfg('test', **EMA), str(path), out=None)
    assert {'t2v/R@1', 'ema/t2v/R@1'} <= metrics.keys()
    assert 'Averaged weights (EMA)' in next(Path(tmp_path, 'test').glob('*/*.log')).read_text()


def test_a_run_that_calibrates_is_refused(make_cfg):
    hook = {'default_hooks.calibrate': dict(type='CalibrateHook')}
    with pytest.raises(ValueError, match='take one of the two hooks out'):
        build_runner(make_cfg(**EMA, **hook)).train()


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_a_resumed_run_goes_on_with_the_average(make_cfg, tmp_path, epoch):
    whole = build_runner(make_cfg('whole', **EMA))
    whole.train()
    options = {'default_hooks.feature_cache.directory': str(tmp_path / 'cache')}
    path = str(tmp_path / 'whole' / f'epoch_{epoch}.pth')
    cfg = make_cfg('part', resume=True, load_from=path, **EMA, **options)
    part = build_runner(cfg)
    part.train()
    for name, weight in hook_of(whole).ema_model.state_dict().items():
        torch.testing.assert_close(hook_of(part).ema_model.state_dict()[name], weight, msg=name)
