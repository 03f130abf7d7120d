"""The recorded outputs, as a directory that `check_parity` reads."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

STORED = Path(__file__).parents[1] / 'data' / 'golden'


def unpack(planes):
    """Two planes of bytes to the float32 numbers that they are the upper half of."""
    if planes.dtype != np.uint8:
        return planes
    upper = planes.astype(np.uint32)
    return (upper[0] << 24 | upper[1] << 16).view(np.float32)


@pytest.fixture(scope='session')
def published_state():
    """State dict in published names; the towers of CLIP are zero."""
    with np.load(STORED / 'state_dict.npz') as archive:
        stored = {key: unpack(archive[key]) for key in archive.files}
    keys = json.loads((STORED / 'state_dict_keys.json').read_text())['keys']
    return {
        key: stored.get(key, np.zeros(shape, dtype=np.float32))
        for key, shape, _ in keys
        if not key.endswith('.pe')
    }


@pytest.fixture(scope='session')
def golden(published_state, tmp_path_factory):
    """The whole directory; read only."""
    folder = tmp_path_factory.mktemp('golden') / 'all'
    shutil.copytree(STORED, folder)
    np.savez(folder / 'state_dict.npz', **published_state)
    return folder
