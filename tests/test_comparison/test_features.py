"""tools/compare.py on configs whose features were imported."""

from types import SimpleNamespace

import numpy as np
import pytest
from processes import ROOT

from diffusionret_mm.comparison import runs
from diffusionret_mm.features.importing import Sources, import_features

CONFIGS = [ROOT / f'configs/features/diffusionret_{name}.py' for name in ('vectors', 'features')]
OPTIONS = [
    'train_cfg.max_epochs=2',
    'train_cfg.val_interval=1',
    'train_dataloader.batch_size=6',
    'auto_scale_lr.base_batch_size=6',
    'default_hooks.stage_switch.begin=1',
    'default_hooks.report.draw=False',
    'model.num_candidates=3',
]


@pytest.fixture
def features(tmp_path, monkeypatch):
    """Features of all splits, where the configs look for them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, count in dict(train=12, val=6, test=6).items():
        ids = np.array([f'{split}{row}' for row in range(count)])
        rows = rng.standard_normal((count, 8), dtype=np.float32)
        np.savez(tmp_path / f'{split}.npz', features=rows, ids=ids)
        sources = Sources([tmp_path / f'{split}.npz'], [tmp_path / f'{split}.npz'])
        folder = tmp_path / f'data/features/{split}'
        import_features(sources, folder, names={}, log=lambda text: None)


@pytest.fixture
def in_this_process(run_tool, monkeypatch):
    """Let the runs of a comparison be in this process, which spares their start."""

    def run(command, **options):
        _, _, *arguments = command
        return SimpleNamespace(returncode=run_tool('train', *arguments).status)

    monkeypatch.setattr(runs, 'subprocess', SimpleNamespace(run=run, STDOUT=None))


def test_configs_on_features_are_compared(features, in_this_process, run_tool):
    done = run_tool('compare', *CONFIGS, '--work-dir', 'runs', '--cfg-options', *OPTIONS)
    assert done.status == 0, done.err
    with open('runs/comparison.md') as file:
        rows = [line.split(' | ') for line in file if line.startswith('| diffusionret')]
    assert [row[0] for row in rows] == ['| diffusionret_vectors', '| diffusionret_features']
    # Texts and videos have the same features: the cosine finds every one.
    assert rows[0][2] == '100.00'
