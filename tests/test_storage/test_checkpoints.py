"""Checkpoints load completely, and without running code that they contain."""

import os
import pickle
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from diffusionret_mm import compat
from diffusionret_mm.storage.checkpoints import (
    CheckpointFileError,
    UnsafeCheckpointError,
    is_complete,
    load_checkpoint_file,
    save_checkpoint_file,
)


class Regressor(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        loss = self.linear(inputs).square().mean()
        return {'loss': loss} if mode == 'loss' else loss


def train(work_dir: Path, max_epochs: int, resume: bool = False) -> Runner:
    runner = Runner(
        model=Regressor(),
        work_dir=str(work_dir),
        train_dataloader=DataLoader(
            [{'inputs': torch.ones(2)} for _ in range(4)],
            collate_fn=lambda items: {'inputs': torch.stack([item['inputs'] for item in items])},
        ),
        train_cfg={'by_epoch': True, 'max_epochs': max_epochs},
        optim_wrapper={'optimizer': {'type': 'Adam', 'lr': 0.1}},
        param_scheduler={'type': 'LinearLR', 'start_factor': 0.5},
        custom_hooks=[{'type': 'EMAHook'}],
        experiment_name=f'checkpoint_io_{work_dir.name}_{max_epochs}',
        default_scope='mmengine',
        resume=resume,
    )
    runner.train()
    return runner


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    compat.apply(load_checkpoint_file, save_checkpoint_file)
    work_dir = tmp_path_factory.mktemp('run')
    train(work_dir, max_epochs=1)
    return work_dir / 'epoch_1.pth'


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args):
        self.reduced = function, args

    def __reduce__(self):
        return self.reduced


def test_contents(checkpoint):
    loaded = load_checkpoint_file(checkpoint, 'cpu')
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.statistics('mean') == pytest.approx(history.mean())
    expected = torch.load(checkpoint, map_location='cpu', weights_only=False)
    torch.testing.assert_close(dict(loaded['state_dict']), dict(expected['state_dict']))
    assert loaded['optimizer']['param_groups'] == expected['optimizer']['param_groups']


def test_resume(checkpoint):
    runner = train(checkpoint.parent, max_epochs=2, resume=True)
    assert (runner.epoch, runner.iter) == (2, 8)


@pytest.mark.parametrize('new_format', [True, False])
def test_types(tmp_path, new_format):
    saved = {
        'dtypes': [torch.ones(2, dtype=t) for t in (torch.bfloat16, torch.half, torch.bool)],
        'parameter': torch.nn.Parameter(torch.ones(2)),
        'meta': ConfigDict(classes=('a', 'b'), size=torch.Size([1]), dtype=torch.float16),
        'plain': [{1, 2}, slice(1), 1j, b'\xff', None],
        'numpy': [np.arange(6.0).reshape(2, 3), np.array([True]), np.int64(3), np.ones(0)],
    }
    file = tmp_path / 'types.pth'
    torch.save(saved, file, _use_new_zipfile_serialization=new_format)
    loaded = load_checkpoint_file(file)
    assert str(loaded) == str(saved)


@pytest.mark.parametrize('new_format', [True, False])
@pytest.mark.parametrize(
    ('function', 'args', 'name'),
    [
        (exec, ('open({marker!r}, "w")',), 'exec'),
        (os.system, ('touch {marker}',), 'system'),
        (pickle.loads, (b'N.',), 'pickle.loads'),
        (np.dtype, ('O',), "numpy.dtype('O')"),
        (torch.load, ('{marker}',), 'torch.serialization.load'),
        (getattr, (HistoryBuffer, '__init__'), "'__init__'"),
        (getattr, (torch.Size([1]), 'mean'), "'mean'"),
    ],
)
def test_refuses(tmp_path, function, args, name, new_format):
    file, marker = tmp_path / 'bad.pth', str(tmp_path / 'executed')
    args = tuple(arg.format(marker=marker) if isinstance(arg, str) else arg for arg in args)
    content = {'state_dict': {'weight': torch.ones(1)}, 'meta': Call(function, *args)}
    torch.save(content, file, _use_new_zipfile_serialization=new_format)
    with pytest.raises(UnsafeCheckpointError) as caught:
        load_checkpoint_file(file)
    assert str(file) in str(caught.value)
    assert name in str(caught.value)
    assert not Path(marker).exists()


def test_array_of_own_bytes(tmp_path):
    """`np.ndarray(shape, 'O', bytes)` would be an array of forged pointers."""
    file = tmp_path / 'forged.pth'
    torch.save({'meta': Call(np.ndarray, (1,), 'O', b'AAAAAAAA')}, file)
    with pytest.raises(RuntimeError, match="'str' object is not callable"):
        load_checkpoint_file(file)


@pytest.mark.filterwarnings('ignore:.*torch.jit:FutureWarning')
def test_refuses_torchscript(tmp_path):
    file = tmp_path / 'script.pt'
    torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.ones(1)), file)
    with pytest.raises(UnsafeCheckpointError, match='TorchScript'):
        load_checkpoint_file(file)


@pytest.mark.parametrize('length', [100, -100])
def test_damaged(checkpoint, tmp_path, length):
    file = tmp_path / 'damaged.pth'
    file.write_bytes(checkpoint.read_bytes()[:length])
    with pytest.raises(RuntimeError, match='damaged.pth .* cannot be loaded') as caught:
        load_checkpoint_file(file)
    assert 'cut short' in str(caught.value)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        (b'', 'is empty; fetch it again'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1\n', 'of Git LFS'),
        (b'<!DOCTYPE html>\n<html><head><title>Sign in</title>', 'is a web page'),
        (b'\xef\xbb\xbf\r\n\n  <html lang="de">', 'is a web page'),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'is a web page'),
        (b'{"message": "Not Found", "status": "404"}', 'is a text, not a checkpoint'),
        (b'Quota exceeded\n', 'is a text, not a checkpoint'),
        (bytes(range(256)) * 4, 'cannot be loaded as a checkpoint'),
        (b'<\0\0\0\0\0\0\0{"weight"', 'cannot be loaded as a checkpoint'),  # safetensors
    ],
)
def test_what_is_given_in_place_of_a_checkpoint(tmp_path, content, expected):
    file = tmp_path / 'model.pth'
    file.write_bytes(content)
    with pytest.raises(CheckpointFileError, match=expected) as caught:
        load_checkpoint_file(file)
    assert str(caught.value).startswith(str(file))


def test_a_folder_in_place_of_a_checkpoint(tmp_path):
    with pytest.raises(CheckpointFileError, match='is a folder; give a checkpoint in it'):
        load_checkpoint_file(tmp_path)


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        load_checkpoint_file(tmp_path / 'absent.pth')


@pytest.fixture
def largest_file():
    """A function that lets the system refuse to write more bytes to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_failed_write_leaves_the_file_of_before(tmp_path, largest_file):
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint_file({'a': torch.zeros(10)}, path)
    largest_file(1_000_000)
    with pytest.raises(OSError, match='could not be written, and nothing of it was left') as caught:
        save_checkpoint_file({'a': torch.zeros(10_000_000)}, path)
    assert 'OSError: [Errno 27] File too large (at 40.0 MB)' in str(caught.value)
    assert ' MB left. Earlier checkpoints are untouched: make room there' in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ['epoch_1.pth']
    assert len(load_checkpoint_file(path)['a']) == 10


@pytest.mark.parametrize('damage', ['cut', 'flip', 'remove', None])
def test_a_damaged_checkpoint_is_incomplete(tmp_path, damage):
    path = tmp_path / 'epoch_1.pth'
    save_checkpoint_file({'a': torch.zeros(1000)}, path)
    content = bytearray(path.read_bytes())
    if damage == 'cut':
        path.write_bytes(content[:-10])
    elif damage == 'flip':
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == 'remove':
        path.unlink()
    assert is_complete(path) == (damage is None)


def test_mmengine_saves_atomically(checkpoint):
    from mmengine.runner import checkpoint as module
    from mmengine.runner import runner

    assert runner.save_checkpoint is module.save_checkpoint
    assert module.save_checkpoint._is_atomic
    assert is_complete(checkpoint)
