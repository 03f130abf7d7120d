"""Readers of state dicts in all usual file formats."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.storage.checkpoints import COMPILED, load_checkpoint_file, refuse_stand_ins

WRAPPERS = ('state_dict', 'model_state_dict', 'model')
DISTRIBUTED_PREFIX = 'module.'


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without running code that it may contain.

    Args:
        path: file of `torch.save`, TorchScript archive (OpenAI's CLIP), `.safetensors` or `.npz`.
            Tensors may be under a key 'state_dict', 'model_state_dict' or 'model', and have the
            prefix 'module.' of a distributed run or '_orig_mod.' of a compiled model.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no tensors, or something else beside them.
        RuntimeError: if it cannot be read.
        UnsafeCheckpointError: if it asks for classes that no state dict needs.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'There is no file {path}.')
    refuse_stand_ins(path)
    state = _load(path)
    wrapper = next((key for key in WRAPPERS if isinstance(state.get(key), dict)), None)
    if wrapper is not None:
        state = state[wrapper]
    other = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if other or not state:
        raise ValueError(
            f'{path} is not a state dict: {len(state) - len(other)} of its {len(state)} entries '
            f'are tensors (not {", ".join(map(repr, other[:3]))}).'
        )
    state = {key.replace(COMPILED, ''): value for key, value in state.items()}
    if all(key.startswith(DISTRIBUTED_PREFIX) for key in state):
        state = {key.removeprefix(DISTRIBUTED_PREFIX): value for key, value in state.items()}
    return dict(state)


def _load(path: Path) -> dict[str, Any]:
    if path.suffix == '.npz':
        with np.load(path) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    if _is_torchscript(path):
        return dict(torch.jit.load(path, map_location='cpu').state_dict())
    state = load_checkpoint_file(path, map_location='cpu')
    if not isinstance(state, dict):
        raise ValueError(f'{path} holds a {type(state).__name__}, not a state dict.')
    return state


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith('constants.pkl') for name in archive.namelist())
