"""The table of samplers, on a random model and a few rendered clips."""

import json
from pathlib import Path

import torch
from mmaction.registry import MODELS
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
SMALL = [
    f'{split}_dataloader.dataset.num_scenes.{part}={count}'
    for split in ('train', 'val', 'test')
    for part, count in (('train', 2), ('val', 2), ('test', 3))
]


def test_samplers_are_compared_with_ddim(tmp_path, run_tool, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the clips are rendered
    config = ROOT / 'configs/diffusionret_shapes.py'
    checkpoint = tmp_path / 'random.pth'
    torch.manual_seed(0)
    torch.save(MODELS.build(Config.fromfile(config).model).state_dict(), checkpoint)
    options = ['--json', 'table.json', '--cfg-options', *SMALL]
    options += ['model.generator.num_train_steps=12', 'model.generator.num_sample_steps=12']
    done = run_tool('benchmarks/samplers', config, checkpoint, *options)
    assert done.status == 0, done.err
    table = json.loads((tmp_path / 'table.json').read_text())
    assert table['DDIMScheduler, 12 steps']['t2v same'] == 100
    assert table['DDIMScheduler, 12 steps']['v2t same'] == 100
    assert 'UniPCMultistepScheduler, 3 steps' in table
    assert 'DPMSolverMultistepScheduler, 10 steps' in done.out
    # Random weights rank by the noise: what is another noise or an average of it differs.
    assert table['reference, another start noise']['t2v same'] < 100
    assert table['reference, 16 draws']['t2v same'] < 100
