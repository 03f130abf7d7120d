"""Whole runs on a handful of clips: both stages, the switch, resuming, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.apis.run import test_retriever as evaluate
from diffusionret_mm.models.checkpoint_check import CheckpointError

NUM_TEST_VIDEOS = 6


def weights(path):
    return torch.load(path, weights_only=False)['state_dict']


def validations(work_dir):
    """Metrics of each validation by its epoch, without times."""
    log = next(work_dir.glob('*/vis_data/scalars.json')).read_text()
    rows = [row for row in map(json.loads, log.splitlines()) if 't2v/R@1' in row]
    return {
        row['step']: {key: row[key] for key in row if '2v/' in key or '2t/' in key} for row in rows
    }


def assert_losses_are_of_their_stage(work_dir):
    """The log shows means over the last steps, and none of them is of the stage before."""
    log = next(work_dir.glob('*/vis_data/scalars.json')).read_text()
    steps = [row for row in map(json.loads, log.splitlines()) if 'loss' in row]
    first, last = steps[0], steps[-1]
    assert 'loss_t2v' in first
    assert 'loss_generation_t2v' not in first
    assert 'loss_generation_t2v' in last
    assert 'loss_t2v' not in last


def test_a_run_goes_through_both_stages_and_its_test_repeats(make_cfg, tmp_path, whole):
    work_dir, metrics = whole
    assert json.loads((work_dir / 'metrics.json').read_text()) == metrics
    assert {'t2v/R@1', 'v2t/MnR', 'discrimination/t2v/R@1', 'discrimination/v2t/MdR'} <= set(
        metrics
    )

    assert_losses_are_of_their_stage(work_dir)
    one, two = (weights(work_dir / f'epoch_{epoch}.pth') for epoch in (2, 4))
    assert not any(key.startswith('generators.') for key in one)
    best_one = weights(next(work_dir.glob('best_*_epoch_[12].pth')))
    for key, value in best_one.items():  # the second stage starts from the best and freezes it
        torch.testing.assert_close(two[key], value, rtol=0, atol=0)
    assert any(key.startswith('generators.') for key in two)

    best = next(work_dir.glob('best_*_epoch_[34].pth'))
    for _ in range(2):
        again = evaluate(make_cfg('again'), str(best), out=str(tmp_path / 'm.json'))
        assert again == metrics
    assert json.loads((tmp_path / 'm.json').read_text()) == metrics
    other = make_cfg('again', **{'test_dataloader.batch_size': 1, 'test_cfg.chunk_size': 2})
    smaller = evaluate(other, str(best), out=None)
    one_query = 100 / (NUM_TEST_VIDEOS * 4)
    assert all(abs(smaller[key] - metrics[key]) <= one_query * 3 for key in metrics if 'R@' in key)

    with pytest.raises(CheckpointError, match='holds no generator weights'):
        evaluate(make_cfg('again'), str(work_dir / 'epoch_1.pth'), out=None)
    alone = make_cfg('again', **{'model.stage': 'discrimination'})
    first = {key: value for key, value in metrics.items() if key.startswith('discrimination/')}
    best = str(next(work_dir.glob('best_*_epoch_[12].pth')))
    # Without generators the first ranking is the final one.
    expected = first | {key.removeprefix('discrimination/'): first[key] for key in first}
    assert evaluate(alone, best, out=None) == expected


@pytest.mark.parametrize('epoch', [1, 2, 3])
def test_a_resumed_run_ends_as_if_it_had_not_stopped(make_cfg, tmp_path, whole, epoch):
    """Before the switch, at it, and behind it: weights, moments of AdamW, and measurements."""
    folder, _ = whole
    cfg = make_cfg('part', resume=True, load_from=str(folder / f'epoch_{epoch}.pth'))
    runner = build_runner(cfg)
    runner.train()
    assert runner.model.stage == 'generation'
    for later in range(epoch + 1, 5):
        part, expected = (
            torch.load(run / f'epoch_{later}.pth', weights_only=False)
            for run in (tmp_path / 'part', folder)
        )
        for state in ('state_dict', 'optimizer'):
            torch.testing.assert_close(part[state], expected[state], rtol=0, atol=0)
        assert part['meta']['stage'] == expected['meta']['stage']
    measured = validations(folder)
    assert list(measured) == [1, 2, 3, 4]
    again = validations(tmp_path / 'part')
    assert list(again)[-1] == 4
    assert again == {later: measured[later] for later in again}


def test_the_second_stage_alone_goes_on_from_a_file(make_cfg, tmp_path, whole):
    path = whole[0] / 'epoch_2.pth'
    cfg = make_cfg('two', load_from=str(path))
    cfg.default_hooks.stage_switch.begin = 0
    cfg.train_cfg.max_epochs = 1
    runner = build_runner(cfg)
    runner.train()
    assert runner.model.stage == 'generation'
    state = weights(tmp_path / 'two' / 'epoch_1.pth')
    for key, value in weights(path).items():
        torch.testing.assert_close(state[key], value, rtol=0, atol=0)


def test_no_best_checkpoint_to_start_from(make_cfg):
    cfg = make_cfg()
    cfg.default_hooks.checkpoint.save_best = None
    with pytest.raises(CheckpointError, match='No best checkpoint of stage discrimination'):
        build_runner(cfg).train()


def test_a_model_without_stages(make_cfg, tiny_model_cfg):
    cfg = make_cfg()
    parts = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity', 'temporal')}
    cfg.model = dict(parts, type='TextVideoRetriever', loss=dict(type='ContrastiveLoss'))
    with pytest.raises(TypeError, match='TextVideoRetriever has the stages'):
        build_runner(cfg).train()


def test_a_missing_checkpoint(make_cfg):
    with pytest.raises(FileNotFoundError, match=r'none\.pth'):
        evaluate(make_cfg(), 'none.pth', out=None)


def stop_at(runner, iteration):
    loss = runner.model.loss

    def stopping(*args):
        if runner.iter == iteration:
            raise KeyboardInterrupt
        return loss(*args)

    return stopping


def test_validation_at_the_start_of_each_stage(make_cfg, tmp_path, monkeypatch):
    cfg = make_cfg()
    cfg.train_cfg.val_interval = 4
    cfg.default_hooks.stage_switch.load_best = False
    cfg.default_hooks.validate_at_start = dict(type='ValidateAtStartHook')
    train_retriever(cfg)
    log = next((tmp_path / 'run').glob('*/*.log')).read_text()
    # Before epochs 1 and 3, after epoch 4, and the test.
    assert log.count('texts, 6 videos') == 4
    assert (tmp_path / 'run/best_t2v_R@1_epoch_0.pth').is_file()

    # Resumed in the first epoch: after epochs 1 and 2.
    options = {'default_hooks.checkpoint.within_epoch': 2, 'train_cfg.max_epochs': 2}
    cfg = make_cfg('stopped', **options)
    cfg.default_hooks.validate_at_start = dict(type='ValidateAtStartHook')
    runner = build_runner(cfg)
    monkeypatch.setattr(runner.model, 'loss', stop_at(runner, 2))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    runner = build_runner(Config(cfg.to_dict() | dict(resume='auto')))
    runner.train()
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'Resuming from' in log
    assert log.count('texts, 6 videos') == 2

    cfg = make_cfg()
    cfg.default_hooks.validate_at_start = dict(type='ValidateAtStartHook')
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.save_best = None
    with pytest.raises(ValueError, match='needs a validation'):
        train_retriever(cfg)


def test_stage_two_alone_needs_a_checkpoint_of_stage_one(make_cfg):
    runner = build_runner(make_cfg(**{'default_hooks.stage_switch.begin': 0}))
    with pytest.raises(CheckpointError, match=r'backbone.* would be random.*load_from=CHECKPOINT'):
        runner.train()
