"""State dicts from files of every kind."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diffusionret_mm.conversion import read_state_dict
from diffusionret_mm.storage.checkpoints import UnsafeCheckpointError

STATE = {'a.weight': torch.arange(6.0).view(2, 3), 'b': torch.tensor(2.5)}


def assert_same(path, expected=STATE):
    state = read_state_dict(path)
    assert list(state) == list(expected)
    for key, value in expected.items():
        assert torch.equal(state[key], value)
        assert state[key].dtype == value.dtype


@pytest.mark.parametrize('wrapper', [None, 'state_dict', 'model_state_dict', 'model'])
def test_torch(tmp_path, wrapper):
    torch.save({wrapper: STATE, 'epoch': 3} if wrapper else STATE, tmp_path / 'x.pth')
    assert_same(tmp_path / 'x.pth')


def test_prefix_of_distributed_runs(tmp_path):
    torch.save({f'module.{key}': value for key, value in STATE.items()}, tmp_path / 'x.bin')
    assert_same(tmp_path / 'x.bin')


def test_half_precision_stays_for_the_report(tmp_path):
    half = {key: value.half() for key, value in STATE.items()}
    torch.save(half, tmp_path / 'x.pth')
    assert_same(tmp_path / 'x.pth', half)


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / 'x.safetensors')
    assert_same(tmp_path / 'x.safetensors')


def test_npz(tmp_path):
    np.savez(tmp_path / 'x.npz', **{key: value.numpy() for key, value in STATE.items()})
    assert_same(tmp_path / 'x.npz')


def test_torchscript(tmp_path):
    class Program(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.script(Program(3, 2)).save(tmp_path / 'x.pt')
    assert {
        key: list(value.shape) for key, value in read_state_dict(tmp_path / 'x.pt').items()
    } == {
        'weight': [2, 3],
        'bias': [2],
    }


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no file .*x\.pth'):
        read_state_dict(tmp_path / 'x.pth')


def test_truncated_file(tmp_path):
    torch.save(STATE, tmp_path / 'x.pth')
    content = (tmp_path / 'x.pth').read_bytes()
    (tmp_path / 'x.pth').write_bytes(content[: len(content) // 2])
    with pytest.raises(RuntimeError, match='cut short'):
        read_state_dict(tmp_path / 'x.pth')


@pytest.mark.parametrize('content', [{}, {'epoch': 1, 'a': torch.zeros(1)}])
def test_no_state_dict(tmp_path, content):
    torch.save(content, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='is not a state dict'):
        read_state_dict(tmp_path / 'x.pth')


def test_a_tensor_alone(tmp_path):
    torch.save(torch.zeros(3), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='holds a Tensor'):
        read_state_dict(tmp_path / 'x.pth')


def test_code_is_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ('raise SystemExit',))

    torch.save({'a': Bomb()}, tmp_path / 'x.pth', pickle_module=pickle)
    with pytest.raises(UnsafeCheckpointError, match='exec'):
        read_state_dict(tmp_path / 'x.pth')
