"""Pickles of plain data, of every protocol, and nothing else."""

import pickle
from collections import OrderedDict, deque
from fractions import Fraction

import numpy as np
import pytest

from diffusionret_mm.storage.plain_pickles import UnsafePickleError, load_plain_pickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
PLAIN = dict(
    numbers=[1, 2.5, True, None, 1 + 2j],
    texts=('a', b'b'),
    names={'a', 'b'},
    floats=np.arange(6, dtype=np.float32).reshape(2, 3),
    turned=np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    words=np.array(['one', 'three']),
    scalar=np.float64(0.5),
    name=np.str_('x'),
    nested=OrderedDict(a=np.zeros((0, 2), np.int8)),
)


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_plain_data_is_what_it_was(tmp_path, protocol):
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps(PLAIN, protocol=protocol))
    loaded = load_plain_pickle(tmp_path / 'p.pkl')
    assert loaded.keys() == PLAIN.keys()
    for name, value in PLAIN.items():
        if isinstance(value, np.ndarray):
            assert (loaded[name].dtype, loaded[name].shape) == (value.dtype, value.shape)
            np.testing.assert_array_equal(loaded[name], value)
    for name in ('numbers', 'texts', 'names', 'scalar', 'name'):
        assert loaded[name] == PLAIN[name]


@pytest.mark.parametrize('protocol', PROTOCOLS)
@pytest.mark.parametrize(
    'value', [print, Fraction(1, 2), deque([1]), np.array([{}]), np.ndarray], ids=str
)
def test_everything_else_is_refused(tmp_path, protocol, value):
    (tmp_path / 'p.pkl').write_bytes(pickle.dumps([value, 1], protocol=protocol))
    if value is np.ndarray:
        assert load_plain_pickle(tmp_path / 'p.pkl')[0] == 'numpy.ndarray'  # a text, no class
        return
    with pytest.raises(UnsafePickleError, match='p.pkl was not read: it asks for'):
        load_plain_pickle(tmp_path / 'p.pkl')


@pytest.mark.parametrize('content', [b'', b'no pickle', pickle.dumps([1, 2])[:-4]])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / 'p.pkl').write_bytes(content)
    with pytest.raises(ValueError, match='p.pkl is no pickle, or a damaged one'):
        load_plain_pickle(tmp_path / 'p.pkl')
    with pytest.raises(FileNotFoundError):
        load_plain_pickle(tmp_path / 'gone.pkl')
