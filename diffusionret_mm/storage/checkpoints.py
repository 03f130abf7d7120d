"""Checkpoints that are written whole or not at all, and read without running code in them.

A checkpoint is a pickle, and a pickle can call any function. `torch.load(weights_only=True)`
forbids that, but refuses what mmengine saves besides weights: the history of the log. The loader
here resolves an explicit list of names that covers both.
"""

import codecs
import os
import pickle
import shutil
import tarfile
import types
import zipfile
import zlib
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from diffusionret_mm.storage.files import open_atomically

# What torch.compile puts before the names of a module, and the entries where weights are.
COMPILED = '_orig_mod.'
WEIGHTS = ('state_dict', 'ema_state_dict', 'model_state_dict', 'model')


class UnsafeCheckpointError(pickle.UnpicklingError):
    """A checkpoint asks for something that is not on the list of harmless names."""


class CheckpointFileError(RuntimeError):
    """A file is no checkpoint, or a damaged one."""


def load_checkpoint_file(filename: str | os.PathLike[str], map_location: Any = None) -> Any:
    """Load a checkpoint of torch or mmengine.

    Names that `torch.compile` has prefixed by `_orig_mod.` lose the prefix.

    Args:
        filename: File written by `torch.save`.
        map_location: See `torch.load`.

    Raises:
        FileNotFoundError: There is no such file.
        UnsafeCheckpointError: The file refers to a class or function that checkpoints do not need.
        CheckpointFileError: The file is not a checkpoint, cut short, or does not fit
            `map_location`.
        OSError: The file cannot be opened.
    """
    filename = os.path.expanduser(filename)
    if os.path.isdir(filename):
        raise CheckpointFileError(f'{filename} is a folder; give a checkpoint in it.')
    if not os.path.isfile(filename):
        raise FileNotFoundError(f'{filename} can not be found.')
    refuse_stand_ins(filename)
    try:
        _refuse_other_formats(filename)
        loaded = torch.load(
            filename, map_location=map_location, pickle_module=_PICKLE, weights_only=False
        )
    except UnsafeCheckpointError as error:
        raise UnsafeCheckpointError(
            f'{filename} was not loaded: {error}, which the checkpoints of this project do not '
            'contain and which could run code. If you trust the file, load it with '
            'torch.load(..., weights_only=False) and save its "state_dict" alone to a new file.'
        ) from None
    except Exception as error:  # a damaged pickle can raise anything
        raise CheckpointFileError(
            f'{filename} ({os.path.getsize(filename)} bytes) cannot be loaded as a checkpoint: '
            f'{type(error).__name__}: {error}\nIf the file was copied or downloaded, or writing it '
            'was interrupted, it may be cut short: fetch it again or use an earlier checkpoint.'
        ) from error
    _forget_compilation(loaded)
    return loaded


def load_weights(filename: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Load the weights of a checkpoint on the CPU.

    Args:
        filename: Checkpoint of torch or mmengine; the weights may be all of it, or its entry
            'state_dict'.

    Raises:
        CheckpointFileError: It holds no weights; and as `load_checkpoint_file`.
    """
    loaded = load_checkpoint_file(filename, 'cpu')
    state: dict[str, torch.Tensor] | None = None
    if isinstance(loaded, dict):
        state = loaded.get('state_dict', loaded)
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise CheckpointFileError(f'{filename} holds no weights; give a checkpoint of a training.')
    return state


def refuse_stand_ins(filename: str | os.PathLike[str]) -> None:
    """Refuse what is often found in place of a file of weights.

    Args:
        filename: An existing file.

    Raises:
        CheckpointFileError: It is empty, a pointer of Git LFS, a web page, or another text.
        OSError: It cannot be opened.
    """
    with open(filename, 'rb') as file:
        head = file.read(256)
    if not head:
        raise CheckpointFileError(f'{filename} is empty; fetch it again.')
    if head.startswith(b'version https://git-lfs'):
        raise CheckpointFileError(
            f'{filename} is a pointer of Git LFS, not the file itself; fetch that by `git lfs '
            'pull` in its repository.'
        )
    text = '' if b'\0' in head else head.decode('utf-8', 'ignore').strip('\ufeff \t\r\n')
    if text.startswith('<'):
        raise CheckpointFileError(
            f'{filename} is a web page, not a checkpoint: {text[:60]!r}. Download the file itself; '
            'the page may ask for a login or a confirmation.'
        )
    if text and ''.join(text.split()).isprintable():
        raise CheckpointFileError(f'{filename} is a text, not a checkpoint: {text[:60]!r}.')


def _forget_compilation(loaded: Any) -> None:
    """Take `torch.compile`'s prefix out of names, at any depth, in place."""
    if not isinstance(loaded, dict):
        return
    for name in [name for name in loaded if isinstance(name, str) and COMPILED in name]:
        loaded[name.replace(COMPILED, '')] = loaded.pop(name)
    for part in WEIGHTS:
        _forget_compilation(loaded.get(part))


def save_checkpoint_file(checkpoint: Any, filename: str | os.PathLike[str]) -> None:
    """Save a checkpoint; it appears under its name only when it is complete and on the disk.

    Args:
        checkpoint: What `torch.save` takes.
        filename: File to write.

    Raises:
        OSError: It cannot be written, for instance because the disk is full. A file of this name
            that was there before is untouched.
    """
    watched = None
    try:
        with open_atomically(filename) as file:
            watched = _WatchedFile(file)
            torch.save(checkpoint, cast(BinaryIO, watched))  # it has all that is called
    except (OSError, RuntimeError) as error:
        # torch makes a RuntimeError about positions of a write that failed.
        reason = getattr(watched, 'error', None) or error
        folder = Path(filename).absolute().parent
        raise OSError(
            f'The checkpoint {filename} could not be written, and nothing of it was left: '
            f'{type(reason).__name__}: {reason} (at {getattr(watched, "size", 0) / 1e6:,.1f} MB)\n'
            f'{_free_space(folder)} Earlier checkpoints are untouched: make room there and '
            'continue with --resume.'
        ) from error


class _WatchedFile:
    """Passes bytes on to a file; remembers how many they were, and why it failed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        self.size += len(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


def is_complete(filename: str | os.PathLike[str]) -> bool:
    """Tell whether a checkpoint can be read to its end and nothing in it was altered by accident.

    Args:
        filename: File written by `torch.save`. Its checksums are compared, which torch does not.
    """
    try:
        with zipfile.ZipFile(filename) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error):
        return False


def _free_space(folder: Path) -> str:
    try:
        return f'{folder} has {shutil.disk_usage(folder).free / 1e6:,.0f} MB left.'
    except OSError as error:
        return f'{folder} cannot be used: {error}.'


def _refuse_other_formats(filename: str) -> None:
    """Refuse what `torch.load` reads in other ways than by unpickling."""
    if zipfile.is_zipfile(filename):
        with zipfile.ZipFile(filename) as archive:
            if any(name.endswith('constants.pkl') for name in archive.namelist()):
                raise UnsafeCheckpointError('it is a TorchScript program')
    elif tarfile.is_tarfile(filename):
        raise UnsafeCheckpointError('it is a tar archive (torch before 0.1.10)')


def _history_method(owner: Any, name: str) -> Callable[..., Any]:
    """Stand in for `getattr`, by which `HistoryBuffer` pickles its statistics methods."""
    if owner is HistoryBuffer and name in ('min', 'max', 'current', 'mean'):
        method: Callable[..., Any] = getattr(HistoryBuffer, name)
        return method
    raise UnsafeCheckpointError(f'it refers to getattr({owner!r}, {name!r})')


def _number_dtype(code: str, *_: Any) -> np.dtype:
    """Stand in for `np.dtype`: an array of objects can be forged from bytes, one of numbers not.

    A copy, because the pickle sets the byte order on what it gets.
    """
    if not isinstance(code, str) or np.dtype(code).kind not in 'biufc':
        raise UnsafeCheckpointError(f'it refers to numpy.dtype({code!r})')
    return np.dtype(code, False, True)


def _empty_array(*_: Any) -> np.ndarray:
    """Stand in for numpy's `_reconstruct`: the array that the pickle then fills."""
    return np.empty(0, dtype='b')


def _admitted_globals() -> dict[str, Any]:
    """Map the names that checkpoints need to the objects that stand for them."""
    named = [OrderedDict, defaultdict, deque, ConfigDict, HistoryBuffer]
    builtin = [bool, bytearray, bytes, complex, float, frozenset, int, set, slice]
    builtin += [dict, list, tuple]  # also as factories of defaultdict
    rebuild = ['_rebuild_tensor', '_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_parameter']
    named += [getattr(torch._utils, name) for name in rebuild if hasattr(torch._utils, name)]
    admitted = {f'{item.__module__}.{item.__qualname__}': item for item in named}
    # Pickle protocol 2, which torch.save uses, writes the names of Python 2.
    for prefix in ('builtins', '__builtin__'):
        admitted.update({f'{prefix}.{item.__name__}': item for item in builtin})
        admitted[f'{prefix}.getattr'] = _history_method
    # Both homes: files written with numpy 1 are read with numpy 2, and the other way round.
    for package in ('numpy.core', 'numpy._core'):
        admitted[f'{package}.multiarray._reconstruct'] = _empty_array
        admitted[f'{package}.multiarray.scalar'] = np.float64(0).__reduce__()[0]
    # The class is only an argument of _reconstruct; nobody may call it with bytes of his own.
    admitted.update({'numpy.dtype': _number_dtype, 'numpy.ndarray': 'numpy.ndarray'})
    dtypes = [item for item in vars(torch).values() if isinstance(item, torch.dtype)]
    admitted.update({str(dtype): dtype for dtype in dtypes})  # str(torch.half) is 'torch.float16'
    admitted.update({'torch.Size': torch.Size, 'torch.device': torch.device})
    admitted['_codecs.encode'] = codecs.encode  # bytes in protocol 2
    return admitted


class _Unpickler(pickle.Unpickler):
    """Resolves the admitted names and no others."""

    admitted = _admitted_globals()

    def find_class(self, module: str, name: str) -> Any:
        """Return the object of an admitted name."""
        full_name = f'{module}.{name}'
        if full_name not in self.admitted:
            raise UnsafeCheckpointError(f'it refers to {full_name}')
        return self.admitted[full_name]


def _load(file: Any, **kwargs: Any) -> Any:
    return _Unpickler(file, **kwargs).load()


# What torch.load uses of a pickle module; torch derives its own class from Unpickler.
_PICKLE = types.SimpleNamespace(__name__=__name__, Unpickler=_Unpickler, load=_load)
