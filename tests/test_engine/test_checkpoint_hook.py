"""Checkpoints are written first and deleted afterwards."""

from pathlib import Path

import pytest

from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.engine import DurableCheckpointHook


def names(folder):
    return {path.name for path in folder.glob('*.pth') if not path.name.startswith('best')}


def test_what_a_killed_run_could_not_delete_is_deleted_later(make_cfg, tmp_path, monkeypatch):
    options = {
        'default_hooks.checkpoint.max_keep_ckpts': 1,
        'default_hooks.checkpoint.within_epoch': 2,
        'train_cfg.max_epochs': 2,
    }
    folder = tmp_path / 'run'
    with monkeypatch.context() as patch:
        patch.setattr(DurableCheckpointHook, '_delete_replaced', lambda self: None)
        build_runner(make_cfg(**options)).train()
    assert names(folder) == {'iter_2.pth', 'epoch_1.pth', 'iter_4.pth', 'epoch_2.pth'}
    (folder / f'.{"epoch_2.pth"}.123.tmp').touch()
    build_runner(make_cfg(resume='auto', **options)).train()
    assert names(folder) == {'epoch_2.pth'}
    assert not list(folder.glob('.*.tmp'))
    assert len(list(folder.glob('best_*'))) == 1
    assert (folder / 'last_checkpoint').read_text() == str(folder / 'epoch_2.pth')


def test_nothing_is_deleted_before_its_successor_is_written(make_cfg, tmp_path, monkeypatch):
    seen = []
    unlink = Path.unlink

    def watched(path, missing_ok=False):
        if path.suffix == '.pth':
            pointed = (tmp_path / 'run/last_checkpoint').read_text()
            seen.append((path.name, Path(pointed).name, Path(pointed).is_file()))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, 'unlink', watched)
    options = {'default_hooks.checkpoint.max_keep_ckpts': 1, 'train_cfg.max_epochs': 2}
    build_runner(make_cfg(**options)).train()
    assert ('epoch_1.pth', 'epoch_2.pth', True) in seen
    assert all(exists and name != pointed for name, pointed, exists in seen)


def test_a_negative_interval():
    with pytest.raises(ValueError, match='within_epoch counts iterations'):
        DurableCheckpointHook(within_epoch=-1)
