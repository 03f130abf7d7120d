"""Arrays by name: .npz, .pt, .pkl and .h5 files, read without running anything."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping, Sized
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffusionret_mm.extras import import_extra
from diffusionret_mm.features.importing.items import (
    ImportFeaturesError,
    Item,
    Names,
    make_item,
)
from diffusionret_mm.storage.plain_pickles import load_plain_pickle

TORCH, PICKLE, HDF5 = ('.pt', '.pth'), ('.pkl', '.pickle'), ('.h5', '.hdf5')
# Where torch.load names what it refuses.
GLOBAL = re.compile(r'GLOBAL (\S+)')
SUFFIXES = ('.npz', *TORCH, *PICKLE, *HDF5)


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open a file as arrays by name; a group of .h5, or a dict in a dict, is a mapping again.

    Arrays of .npz and .h5 are read where they are used, and those of .pt are mapped.

    Args:
        path: a file with one of the suffixes.

    Raises:
        ImportFeaturesError: if it cannot be read, or holds something else.
        UnsafePickleError: if it is a pickle with code in it.
    """
    with ExitStack() as stack:
        content = _open(path, stack)
        if not isinstance(content, Mapping):
            raise ImportFeaturesError(
                f'{path} holds a {type(content).__name__}; a dict is expected: of id to features, '
                "or with the entries 'features' and 'ids'."
            )
        yield content


def _open(path: Path, stack: ExitStack) -> Any:
    if path.suffix in PICKLE:
        return load_plain_pickle(path)
    try:
        if path.suffix in HDF5:
            h5py = import_extra('h5py', 'features')
            return stack.enter_context(h5py.File(path, 'r'))
        if path.suffix == '.npz':
            return stack.enter_context(np.load(path, allow_pickle=False))
        mapped = zipfile.is_zipfile(path)  # files of before torch 1.6 are none
        return torch.load(path, map_location='cpu', weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        asked = GLOBAL.search(str(error))
        what = f'asks for {asked[1]}' if asked else 'is damaged, or asks for more than data'
        raise ImportFeaturesError(
            f'{path} was not read: it {what}, which could run code; save tensors, dicts, lists, '
            'texts and numbers alone.'
        ) from error
    except (FileNotFoundError, ModuleNotFoundError):
        raise
    except Exception as error:  # a damaged file can raise anything
        raise _unreadable(path, error) from error


def read_entry(arrays: Mapping[str, Any], name: str, where: str) -> Any:
    """Read an entry of a file of arrays.

    Raises:
        ImportFeaturesError: if it is damaged, or an array of objects, which could run code.
    """
    try:
        return arrays[name]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ImportFeaturesError(f'{where}, key {name!r} cannot be read ({error}).') from error


def side_of(arrays: Mapping[str, Any], side: str) -> Mapping[str, Any] | None:
    """Return what a file with both sides holds of one, or None if it has no such side.

    Args:
        arrays: the file.
        side: 'videos' or 'texts': the name of a mapping in it, or what stands before a slash in
            names such as 'videos/features'.
    """
    part = arrays.get(side)
    if isinstance(part, Mapping):
        return part
    start = f'{side}/'
    names = {name.removeprefix(start): name for name in arrays if name.startswith(start)}
    return _Renamed(arrays, names) if names else None


class _Renamed(Mapping[str, Any]):
    """Entries of a mapping by other names, read where they are used."""

    def __init__(self, arrays: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._arrays, self._names = arrays, names

    def __getitem__(self, name: str) -> Any:
        return self._arrays[self._names[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def items_of(arrays: Mapping[str, Any], names: Names, where: str) -> Iterator[Item]:
    """Yield the items of arrays by name.

    With an entry of the name of `features`, the rows of that array are the items, and `ids`,
    `mask`, `pooled` and `captions` are arrays or lists of the same length. Otherwise each entry is
    an item, and its name the id.

    Args:
        arrays: the arrays.
        names: what the fields are called.
        where: the file, for messages.
    """
    if names.of('features') in arrays:
        yield from _rows(arrays, names, where)
        return
    for key in arrays:
        value = read_entry(arrays, key, where)
        if isinstance(value, Mapping):
            raise ImportFeaturesError(
                f'{where}, {key}: a mapping in place of an array; a file with both sides has the '
                'entries videos and texts and is given without --videos and --texts.'
            )
        yield make_item(str(key), value, f'{where}, key {key!r}')


def to_texts(values: Any, where: str) -> list[str]:
    """Return ids or captions as texts; integers are written out.

    Raises:
        ImportFeaturesError: if one is neither.
    """
    plain = values if isinstance(values, list | tuple) else np.asarray(values).tolist()
    return [_to_text(value, f'{where}, row {number}') for number, value in enumerate(plain)]


def _to_text(value: Any, where: str) -> str:
    if isinstance(value, bytes):
        return decode(value, where)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ImportFeaturesError(f'{where}: {value!r:.50} is no id and no text.')
    return str(value)


def decode(content: bytes, where: str) -> str:
    """Return a text of UTF-8.

    Raises:
        ImportFeaturesError: if it is none.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ImportFeaturesError(f'{where} is not UTF-8: {content!r:.50}.') from error


def check_length(values: Sized, length: int, what: str, where: str) -> None:
    """Refuse a list that has not an entry for each row of the features."""
    if len(values) != length:
        raise ImportFeaturesError(
            f'{where}: {len(values):,} {what} for the {length:,} rows of the features.'
        )


def _rows(arrays: Mapping[str, Any], names: Names, where: str) -> Iterator[Item]:
    features = read_entry(arrays, names.of('features'), where)
    found = {
        field: read_entry(arrays, names.of(field), where)
        for field in ('ids', 'mask', 'pooled', 'captions')
        if names.of(field) in arrays
    }
    if 'ids' not in found:
        raise ImportFeaturesError(
            f'{where} has {names.of("features")!r} and no {names.of("ids")!r} with an id for each '
            f'row; its names are {", ".join(map(repr, list(arrays)[:8]))} (--names ids=NAME).'
        )
    for field, values in found.items():
        check_length(values, len(features), field, where)
    ids = to_texts(found.pop('ids'), f'{where}, {names.of("ids")}')
    captions = found.pop('captions', None)
    captions = [None] * len(ids) if captions is None else to_texts(captions, f'{where}, captions')
    for row, (key, caption) in enumerate(zip(ids, captions, strict=True)):
        rest = {field: values[row] for field, values in found.items()}
        where_row = f'{where}, row {row} (id {key!r})'
        yield make_item(key, features[row], where_row, caption=caption, **rest)


def _unreadable(path: Path, error: Exception) -> ImportFeaturesError:
    text = f'{type(error).__name__}: {error}'
    return ImportFeaturesError(f'{path} cannot be read ({text:.200}); was it cut off?')
