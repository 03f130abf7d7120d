"""What second stages add on shapes: measured on a handful of clips, and as tables."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmaction.registry import MODELS
from tool_modules import load_tool

SETS = ('val', 'test', 'fresh')


@pytest.fixture
def bench(benchmarks, tmp_path, monkeypatch):
    """The benchmark, for one shifted set and for configs in the folder of the test."""
    module = load_tool('benchmarks/second_stages')
    (tmp_path / 'configs').symlink_to(tmp_path)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    monkeypatch.setattr(module, 'SHIFTS', SETS[2:])
    monkeypatch.setattr(module, 'SETS', SETS)
    scenes = dict(train=1, val=2, test=2)
    monkeypatch.setattr('diffusionret_mm.datasets.shapes.build.DEFAULT_NUM_SCENES', scenes)
    return module


@pytest.fixture
def trained(tiny_second_stage, tmp_path):
    """A checkpoint of stage two, where the training leaves it. Returns the command line."""
    torch.manual_seed(0)
    folder = tmp_path / 'tiny_0/seed_0'
    folder.mkdir(parents=True)
    state = MODELS.build(tiny_second_stage).state_dict()
    torch.save(
        dict(state_dict=state, meta=dict(stage='generation')), folder / 'best_t2v_R@1_epoch_3.pth'
    )
    by_default = {f'{split}_dataloader.dataset.num_scenes': None for split in ('val', 'test')}
    return SimpleNamespace(
        work_dir=tmp_path,
        data_root=str(tmp_path / 'shapes'),
        cfg_options=by_default,
        folder=folder,
    )


def test_a_checkpoint_is_measured_on_each_set(bench, trained):
    rows = [
        bench.SecondStage('two draws', 'tiny', {'model.num_draws': 2}),
        bench.SecondStage('one step', 'tiny', {'model.generator.num_sample_steps': 1}),
    ]
    figures = {row.name: [json.loads(bench.measure(trained, row, 0).read_text())] for row in rows}
    for name in SETS:
        found = figures['two draws'][0][name]
        gain = found['gains']['t2v']
        assert len(gain) == len(found['scenes']['t2v']) > 0
        metrics = found['metrics']
        added = metrics['t2v/R@1'] - metrics['discrimination/t2v/R@1']
        assert sum(gain) / len(gain) == pytest.approx(added, abs=1e-4)
        assert metrics['t2v/NLL'] > 0  # calibrated on the validation split
    assert figures['one step'][0]['cost']['parameters'] > 0
    table = bench.write_tables(trained.work_dir / 'table.md', figures)
    assert table.count('| one step |') == 3
    assert 'Chosen on val:' in table
    once = bench.measure(trained, rows[0], 0).stat().st_mtime_ns
    assert bench.measure(trained, rows[0], 0).stat().st_mtime_ns == once


def test_a_run_without_the_checkpoint_is_refused(bench, trained):
    assert bench.best_checkpoint(trained.folder, 'generation').name == 'best_t2v_R@1_epoch_3.pth'
    with pytest.raises(FileNotFoundError, match="no best checkpoint of stage 'discrimination'"):
        bench.best_checkpoint(trained.folder, 'discrimination')
