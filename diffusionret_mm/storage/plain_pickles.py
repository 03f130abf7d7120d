"""Pickles of plain data, read without running what they may ask for."""

from __future__ import annotations

import codecs
import os
import pickle
from collections import OrderedDict
from typing import Any, Literal

import numpy as np

# Kinds of numpy dtypes: numbers, booleans and texts. Arrays of objects can be forged from bytes.
KINDS = 'biufcUS'


class UnsafePickleError(ValueError):
    """A pickle asks for something other than plain data."""


def load_plain_pickle(path: str | os.PathLike[str]) -> Any:
    """Load dicts, lists, tuples, sets, texts, numbers and numpy arrays of numbers and texts.

    Args:
        path: file of `pickle.dump`, of any protocol.

    Raises:
        FileNotFoundError: if there is no such file.
        UnsafePickleError: if it asks for anything else; nothing of it was run.
        ValueError: if it is no pickle, or a damaged one.
    """
    try:
        with open(path, 'rb') as file:
            return _Unpickler(file).load()
    except UnsafePickleError as error:
        raise UnsafePickleError(
            f'{path} was not read: it asks for {error}, which features do not need and which could '
            'run code; save dicts, lists and numpy arrays of numbers alone.'
        ) from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(
            f'{path} is no pickle, or a damaged one ({type(error).__name__}: {error}).'
        ) from error


def _dtype(code: Any, *_: Any) -> np.dtype:
    """Stand in for `np.dtype`; a copy, because the pickle sets the byte order on what it gets."""
    if not isinstance(code, str) or np.dtype(code).kind not in KINDS:
        raise UnsafePickleError(f'numpy.dtype({code!r})')
    return np.dtype(code, False, True)


def _empty_array(*_: Any) -> np.ndarray:
    """Stand in for numpy's `_reconstruct`: the array that the pickle then fills."""
    return np.empty(0, dtype='b')


def _from_buffer(
    buffer: Any, dtype: np.dtype, shape: Any, order: Literal['C', 'F'], *_: Any
) -> np.ndarray:
    """Stand in for numpy's `_frombuffer`, by which protocol 5 makes arrays."""
    array: np.ndarray = np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)
    return array


def _admitted() -> dict[str, Any]:
    """Map the names that plain data needs to the objects that stand for them."""
    builtin = [bool, bytearray, bytes, complex, float, frozenset, int, set]
    # Protocol 2 writes the names of Python 2.
    admitted: dict[str, Any] = {
        f'{home}.{item.__name__}': item for home in ('builtins', '__builtin__') for item in builtin
    }
    # Both homes: files of numpy 1 are read with numpy 2, and the other way round.
    for package in ('numpy.core', 'numpy._core'):
        admitted[f'{package}.multiarray._reconstruct'] = _empty_array
        admitted[f'{package}.multiarray.scalar'] = np.float64(0).__reduce__()[0]
        admitted[f'{package}.numeric._frombuffer'] = _from_buffer
    # The class is only an argument of _reconstruct; nobody may call it with bytes of his own.
    admitted.update({'numpy.dtype': _dtype, 'numpy.ndarray': 'numpy.ndarray'})
    admitted.update({'collections.OrderedDict': OrderedDict, '_codecs.encode': codecs.encode})
    return admitted


class _Unpickler(pickle.Unpickler):
    """Resolves the admitted names and no others."""

    admitted = _admitted()

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of an admitted name."""
        full_name = f'{module}.{name}'
        if full_name not in self.admitted:
            raise UnsafePickleError(full_name)
        return self.admitted[full_name]
