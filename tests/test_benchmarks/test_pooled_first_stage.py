"""A second stage on one vector per text and video, on a random model and a few rendered clips."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
SMALL = [
    f'{split}_dataloader.dataset.num_scenes.{part}=2'
    for split in ('train', 'val', 'test')
    for part in ('train', 'val', 'test')
]
SHORT = [
    'train_cfg.max_epochs=1',
    'train_cfg.val_interval=1',
    'train_dataloader.batch_size=6',
    'auto_scale_lr.base_batch_size=6',
    'model.gallery_sizes=(6,)',
    'model.num_candidates=3',
    'default_hooks.report.draw=False',
]


@pytest.fixture
def measured(tmp_path, run_tool, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where the clips are rendered
    config = ROOT / 'configs/diffusionret_shapes.py'
    torch.manual_seed(0)
    torch.save(MODELS.build(Config.fromfile(config).model).state_dict(), 'random.pth')
    options = ['--folder', 'out', '--seeds', '1', '--json', 'runs.json']
    options += ['--encoder-options', *SMALL, '--stage-options', *SHORT]
    done = run_tool('benchmarks/pooled_first_stage', 'random.pth', *options)
    assert done.status == 0, done.err
    return done.out, json.loads(Path('runs.json').read_text())


@pytest.mark.slow
def test_second_stages_are_measured_on_vectors_alone(measured):
    out, runs = measured
    vectors = np.load('out/vectors/test/videos.npy')
    assert vectors.shape == (6, 128)
    texts = np.load('out/vectors/test/texts.npy')
    truth = np.arange(24) // 4
    assert np.mean((texts @ vectors.T).argmax(1) == truth) == pytest.approx(
        runs['DiffusionGenerator'][0]['discrimination/t2v/R@1'] / 100
    )
    lines = out.splitlines()[-4:]
    assert [line.split('  ')[0] for line in lines[1:]] == [
        'cosine of the vectors',
        'and DiffusionGenerator',
        'and ListwiseReranker',
    ]
    assert f'{runs["ListwiseReranker"][0]["v2t/R@5"]:.2f}' in lines[-1]
    alone = {run[0]['discrimination/v2t/R@5'] for run in runs.values()}
    assert len(alone) == 1
