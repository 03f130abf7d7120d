"""A loss that is not finite: named, and nothing poisoned."""

from pathlib import Path

import pytest
import torch

from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.engine import NonFiniteLossHook

HOOK = 'default_hooks.non_finite'


def log_of(work_dir):
    return max(Path(work_dir).glob('*/*.log')).read_text()


def state_of(runner):
    """Copies of the parameters, and of the optimizer's averages."""
    averages = [state['exp_avg'].clone() for state in runner.optim_wrapper.optimizer.state.values()]
    return [parameter.detach().clone() for parameter in runner.model.parameters()], averages


@pytest.fixture
def poison(monkeypatch):
    """A function that makes the loss of some iterations NaN, and notes the states around them."""

    def apply(runner, *iterations):
        states = []
        loss = runner.model.loss

        def poisoned(*args, **kwargs):
            losses = loss(*args, **kwargs)
            if runner.iter in iterations:
                states.append(state_of(runner))
                losses = {name: value * torch.nan for name, value in losses.items()}
            return losses

        monkeypatch.setattr(runner.model, 'loss', poisoned)
        return states

    return apply


# Iterations 1, 4 and 10 of 12: in both stages, of which each has 6.
@pytest.mark.parametrize('iteration', [1, 4, 10])
def test_the_run_stops_and_names_the_batch(make_cfg, tmp_path, poison, iteration):
    runner = build_runner(make_cfg())
    poison(runner, iteration)
    with pytest.raises(FloatingPointError) as caught:
        runner.train()
    message = str(caught.value)
    epoch = iteration // 3 + 1
    assert (
        f'Iteration {iteration + 1} (epoch {epoch}): the loss is not finite (loss = nan' in message
    )
    assert 'No step was made. Videos of the batch: train_000' in message
    assert message.count('train_000') == 6
    assert 'default_hooks.non_finite.action=skip and --resume' in message
    saved = {path.name for path in (tmp_path / 'run').glob('epoch_*')}
    assert saved == {f'epoch_{number}.pth' for number in range(1, epoch)}
    assert all(parameter.isfinite().all() for parameter in runner.model.parameters())


def test_the_step_is_skipped_and_nothing_is_poisoned(make_cfg, tmp_path, poison):
    runner = build_runner(make_cfg(**{f'{HOOK}.action': 'skip', 'train_cfg.max_epochs': 2}))
    before = poison(runner, 1, 5)
    runner.train()
    assert runner.iter == 6
    log = log_of(tmp_path / 'run')
    assert log.count('the loss is not finite') == 2
    now = state_of(runner)
    for values, values_before in zip(now, before[1], strict=True):  # the last step was the 6th
        for value, value_before in zip(values, values_before, strict=True):
            torch.testing.assert_close(value, value_before, rtol=0, atol=0)
    assert all(value.isfinite().all() for values in now for value in values)
    assert not torch.equal(before[0][1][0], before[1][1][0])  # steps between them were made


def test_a_gradient_alone(make_cfg, tmp_path, monkeypatch):
    runner = build_runner(make_cfg(**{f'{HOOK}.action': 'skip', 'train_cfg.max_epochs': 1}))
    loss = runner.model.loss

    def steep(*args, **kwargs):  # adds 0, whose slope is infinite
        return {name: value + (value * 0).sqrt() for name, value in loss(*args, **kwargs).items()}

    monkeypatch.setattr(runner.model, 'loss', steep)
    runner.train()
    log = log_of(tmp_path / 'run')
    assert log.count('a gradient is not finite') == 3
    assert all(parameter.isfinite().all() for parameter in runner.model.parameters())


def test_too_many_in_a_row(make_cfg, poison):
    runner = build_runner(make_cfg(**{f'{HOOK}.action': 'skip', f'{HOOK}.max_in_a_row': 2}))
    poison(runner, 1, 3, 4)
    with pytest.raises(FloatingPointError, match='number 2 of such batches in a row'):
        runner.train()
    assert runner.iter == 4


@pytest.mark.parametrize('options', [dict(action='ignore'), dict(max_in_a_row=0)])
def test_options_out_of_range(options):
    with pytest.raises(ValueError, match='action must be one of'):
        NonFiniteLossHook(**options)
