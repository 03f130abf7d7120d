"""A run that was stopped anywhere goes on as if it had not been, or says why it cannot."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.models.checkpoint_check import CheckpointError

# 18 training videos in batches of 6, with 2 epochs a stage: 3 iterations an epoch, 12 in all.
EVERY_STEP = {
    'default_hooks.checkpoint.within_epoch': 1,
    'default_hooks.logger.interval': 1,
    'log_processor.window_size': 1,
}


def losses(work_dir):
    """Loss and learning rate of each iteration, of the latest start."""
    log = max(Path(work_dir).glob('*/vis_data/scalars.json'))
    records = map(json.loads, log.read_text().splitlines())
    return {entry['iter']: (entry['loss'], entry['lr']) for entry in records if 'loss' in entry}


def weights(path):
    return torch.load(path, weights_only=False)['state_dict']


def log_of(work_dir):
    return max(Path(work_dir).glob('*/*.log')).read_text()


class Keep:
    """Copies checkpoints as they are written, as if the run had been killed just then."""

    def __init__(self, monkeypatch, folder, names):
        self.folder, self.names = folder, names
        folder.mkdir()
        replace = Path.replace

        def replace_and_keep(path, target):
            result = replace(path, target)
            if Path(target).name in names and not (folder / Path(target).name).exists():
                shutil.copy(target, folder / Path(target).name)
            return result

        monkeypatch.setattr(Path, 'replace', replace_and_keep)


# Inside stage one, at its end before the validation, and inside stage two.
STOPPED_AT = ('iter_2.pth', 'iter_4.pth', 'epoch_2.pth', 'iter_8.pth')


@pytest.mark.slow
def test_resumed_anywhere_all_losses_and_the_end_are_the_same(make_cfg, tmp_path, monkeypatch):
    kept = tmp_path / 'kept'
    with monkeypatch.context() as patch:
        Keep(patch, kept, STOPPED_AT)
        metrics = train_retriever(make_cfg('whole', **EVERY_STEP))
    expected = losses(tmp_path / 'whole')
    assert list(expected) == list(range(1, 13))
    for name in STOPPED_AT:
        part = tmp_path / 'part'
        shutil.copytree(tmp_path / 'whole', part, ignore=shutil.ignore_patterns('2*', 'epoch_*'))
        (part / 'last_checkpoint').write_text(f'elsewhere/{name}')  # the folder was moved
        shutil.copy(kept / name, part)
        assert train_retriever(make_cfg('part', resume='auto', **EVERY_STEP)) == metrics
        start = torch.load(kept / name, weights_only=False)['meta']['iter']
        assert losses(part) == {step: expected[step] for step in range(start + 1, 13)}
        torch.testing.assert_close(
            weights(part / 'epoch_4.pth'), weights(tmp_path / 'whole/epoch_4.pth'), rtol=0, atol=0
        )
        best, again = ({path.name for path in folder.glob('best_*')} for folder in whole_and(part))
        assert best == again
        assert not list(part.glob('iter_*'))  # each was replaced by a later checkpoint
        shutil.rmtree(part)


def whole_and(part):
    return part.with_name('whole'), part


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Folder of one run of two epochs, which tests copy."""
    return tmp_path_factory.mktemp('finished') / 'run'


@pytest.fixture
def resumable(make_cfg, tmp_path, finished):
    """A function that makes a config of a run that has epoch_1.pth and epoch_2.pth."""
    if not finished.exists():
        cfg = make_cfg()
        cfg.work_dir = str(finished)
        cfg.train_cfg.max_epochs = 2
        build_runner(cfg).train()
    shutil.copytree(finished, tmp_path / 'run', ignore=shutil.ignore_patterns('20*'))

    def make(**options):
        return make_cfg('run', **{'train_cfg.max_epochs': 2, 'resume': 'auto', **options})

    return make


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def test_a_truncated_checkpoint_is_named_and_the_one_before_is_taken(resumable, tmp_path):
    cut(tmp_path / 'run/epoch_2.pth')
    runner = build_runner(resumable())
    runner.train()
    log = log_of(tmp_path / 'run')
    assert f'{tmp_path}/run/epoch_2.pth (' in log
    assert 'is cut short or cannot be read; the checkpoint before it is tried.' in log
    assert f'Resuming from {tmp_path}/run/epoch_1.pth (epoch 1, iteration 3).' in log
    assert runner.iter == 6

    for name in ('epoch_1.pth', 'epoch_2.pth'):
        cut(tmp_path / 'run' / name)
    with pytest.raises(CheckpointError, match=r'No checkpoint of .* can be read: epoch_2\.pth, e'):
        build_runner(resumable()).train()


def test_without_a_checkpoint_training_starts(make_cfg, finished, resumable, tmp_path):
    cfg = resumable(load_from=str(finished / 'epoch_1.pth'), work_dir=str(tmp_path / 'new'))
    runner = build_runner(cfg)
    runner.train()
    assert 'holds no checkpoint yet: training starts.' in log_of(tmp_path / 'new')
    assert 'Load checkpoint from' in log_of(tmp_path / 'new')
    assert runner.iter == 6


def test_settings_that_changed_are_named_and_refused(resumable, tmp_path):
    changes = {
        'train_dataloader.batch_size': 3,
        'optim_wrapper.optimizer.lr': 0.5,
        'train_dataloader.num_workers': 1,
    }
    with pytest.raises(CheckpointError) as caught:
        build_runner(resumable(**changes)).train()
    message = str(caught.value)
    assert 'epoch_2.pth (epoch 2, iteration 6); nothing was loaded' in message
    assert 'optim_wrapper.optimizer.lr: then 0.0015, now 0.5' in message
    assert 'train_dataloader.batch_size x processes: then 6, now 3' in message
    assert 'num_workers' not in message
    assert 'train_dataloader.num_workers: then 0, now 1' in log_of(tmp_path / 'run')

    cfg = resumable(**{'optim_wrapper.optimizer.lr': 0.5, 'train_cfg.max_epochs': 3})
    cfg.default_hooks.resume.differences = 'warn'
    cfg.default_hooks.stage_switch.begin = 3
    build_runner(cfg).train()
    assert 'Training changes from here on' in log_of(tmp_path / 'run')


def test_another_length_of_the_epoch_is_refused(resumable, make_cfg):
    cfg = resumable(**{'train_dataloader.batch_size': 9, 'train_cfg.max_epochs': 3})
    cfg.default_hooks.resume.differences = 'warn'
    with pytest.raises(ValueError, match='An epoch has 2 batches; it had 3 when the checkpoint'):
        build_runner(cfg).train()


def test_a_seed_drawn_at_random_is_kept(make_cfg, tmp_path):
    options = dict(EVERY_STEP, **{'randomness.seed': None, 'train_cfg.max_epochs': 2})
    build_runner(make_cfg('whole', **options)).train()
    options['load_from'] = str(tmp_path / 'whole/epoch_1.pth')
    build_runner(make_cfg('part', resume=True, **options)).train()
    expected = losses(tmp_path / 'whole')
    assert losses(tmp_path / 'part') == {step: expected[step] for step in (4, 5, 6)}


def test_a_full_disk_leaves_the_checkpoints_before(resumable, make_cfg, tmp_path, monkeypatch):
    cut(tmp_path / 'run/epoch_2.pth')
    save = torch.save

    def save_half(checkpoint, file):
        save(torch.zeros(1000), file)
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(torch, 'save', save_half)
        with pytest.raises(OSError, match='No space left on device') as caught:
            build_runner(resumable()).train()
    message = str(caught.value)
    assert f'The checkpoint {tmp_path}/run/epoch_2.pth could not be written' in message
    assert 'MB left. Earlier checkpoints are untouched: make room there and continue' in message
    assert {path.name for path in (tmp_path / 'run').glob('*epoch_*')} == {
        'epoch_1.pth',
        'epoch_2.pth',
        *(path.name for path in (tmp_path / 'run').glob('best_*')),
    }
    assert not list((tmp_path / 'run').glob('.*'))
    runner = build_runner(resumable())
    runner.train()
    assert runner.iter == 6


def test_an_unreadable_video_in_a_worker_is_named_and_training_goes_on_when_it_is_back(
    resumable, tmp_path, data_root
):
    cut(tmp_path / 'run/epoch_2.pth')  # so an epoch is left to be trained
    video = data_root / 'videos/train_0003_original.mp4'
    content = video.read_bytes()
    cut(video)
    workers = {'train_dataloader.num_workers': 2}
    with pytest.raises(VideoReadError) as caught:
        build_runner(resumable(**workers)).train()
    message = str(caught.value)
    assert f'The video {video} (video_id ' in message
    assert 'cannot be read: ' in message
    assert "train without it by bad_videos='skip'" in message
    video.write_bytes(content)
    runner = build_runner(resumable(**workers))
    runner.train()
    assert runner.iter == 6


def test_a_checkpoint_of_another_passport_is_refused(make_cfg, whole):
    checkpoint = str(whole[0] / 'epoch_4.pth')
    assert torch.load(checkpoint, weights_only=False)['meta']['passport']['arch'] == 'custom'
    cfg = make_cfg('other', **{'model.backbone.quick_gelu': False})
    with pytest.raises(CheckpointError, match='epoch_4.pth was made with .* quick gelu: then True'):
        evaluate(cfg, checkpoint, out=None)
