"""A run does not depend on the number of processes that share its global batch."""

import json
from functools import cache
from pathlib import Path

import pytest
import torch
from processes import run_ranks

ROOT = Path(__file__).parents[2]
GLOBAL_BATCH = 32
EPOCHS = dict(stage_one=4, total=7)
SCENES = dict(train=34, val=2, test=2)  # three clips each: three iterations an epoch
# Adam's own epsilon of 1e-8 turns the rounding of gradients that are 0 into steps of full size.
OPTIMIZER = dict(type='AdamW', lr=1e-3, eps=1e-3, fused=False)
CONFIG = f"""
_base_ = {str(ROOT / 'configs/diffusionret_shapes.py')!r}
auto_scale_lr = dict(base_batch_size={GLOBAL_BATCH})
model = dict(
    backbone=dict(
        arch=dict(
            embed_dim=64,
            vision_cfg=dict(width=64, layers=1),
            text_cfg=dict(width=64, heads=2, layers=1),
        )
    ),
    temporal=dict(width=64, num_layers=1),
    similarity=dict(width=64),
    generator=dict(denoiser=dict(width=64), num_sample_steps=2),
)
scenes = dict(num_scenes={SCENES})
train_dataloader = dict(batch_size={GLOBAL_BATCH}, dataset=scenes)
val_dataloader = dict(dataset=scenes)
test_dataloader = dict(dataset=scenes)
train_cfg = dict(max_epochs={EPOCHS['total']}, val_interval={EPOCHS['stage_one']})
optim_wrapper = dict(optimizer={OPTIMIZER})
param_scheduler = [dict(type='ConstantLR', factor=1.0)]
log_processor = dict(window_size=1)
default_hooks = dict(
    logger=dict(interval=1),
    report=dict(draw=False),
    stage_switch=dict(
        begin={EPOCHS['stage_one']}, param_scheduler=[], optim_wrapper=dict(optimizer={OPTIMIZER})
    ),
)
"""


def train(folder, work_dir, processes, *options):
    """Train by `processes`; return the losses of each iteration, the weights and the metrics."""
    command = [
        *(ROOT / 'tools/train.py', 'config.py', '--launcher', 'pytorch', '--work-dir', work_dir),
        *(['--cfg-options', *options] if options else []),
    ]
    done = run_ranks(processes, *command, cwd=folder)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    scalars = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    rows = [row for row in map(json.loads, scalars) if 'loss' in row]
    state = torch.load(work_dir / f'epoch_{EPOCHS["total"]}.pth', weights_only=False)['state_dict']
    return rows, state, json.loads((work_dir / 'metrics.json').read_text())


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Folder of the config and of the rendered clips, which all runs share."""
    path = tmp_path_factory.mktemp('runs')
    (path / 'config.py').write_text(CONFIG)
    return path


@pytest.fixture(scope='module')
def alone(folder):
    """A function that returns the run of one process with some negatives, trained once."""

    @cache
    def run(negatives):
        return train(folder, folder / negatives, 1, f'model.negatives={negatives}')

    return run


@pytest.mark.parametrize('negatives', ['batch', 'training_set'])
@pytest.mark.slow
def test_two_processes_train_as_one(folder, tmp_path, alone, negatives):
    """Twenty iterations over both stages and the switch: losses, weights and metrics."""
    two = train(folder, tmp_path, 2, f'model.negatives={negatives}')
    assert_same(alone(negatives), two)


@pytest.mark.slow
def test_a_sharded_optimizer_trains_as_a_whole_one(folder, tmp_path, alone):
    """ZeRO: each process holds the state of its share of the parameters."""
    sharded = [
        f'{place}.optimizer.type=ShardedAdamW'
        for place in ('optim_wrapper', 'default_hooks.stage_switch.optim_wrapper')
    ]
    two = train(folder, tmp_path, 2, 'model.negatives=batch', *sharded)
    assert_same(alone('batch'), two)


def assert_same(run, other):
    one, weights_of_one, metrics_of_one = run
    two, weights_of_two, metrics_of_two = other
    assert len(one) == len(two) >= 20
    assert {'loss_t2v', 'loss_generation_v2t'} <= {key for row in one for key in row}
    for expected, row in zip(one, two, strict=True):
        losses = {key: value for key, value in expected.items() if 'loss' in key}
        assert {key: row[key] for key in losses} == pytest.approx(losses, rel=1e-4, abs=1e-4)
    for name, weight in weights_of_one.items():
        torch.testing.assert_close(weights_of_two[name], weight, rtol=0, atol=1e-5, msg=name)
    # NLL and ECE are rounded as losses are.
    assert metrics_of_one == pytest.approx(metrics_of_two, rel=1e-4)
