"""Errors that a user can mend, as sentences in place of tracebacks."""

from __future__ import annotations

import errno
import gc
import linecache
import os
import re
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from diffusionret_mm.comparison import ComparisonError
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.export import ExportError
from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.search import GalleryError
from diffusionret_mm.storage.checkpoints import CheckpointFileError, UnsafeCheckpointError
from diffusionret_mm.storage.locks import LockedError
from diffusionret_mm.storage.names import printable

USER_ERRORS = (
    CheckpointError,
    CheckpointFileError,
    ComparisonError,
    ExportError,
    GalleryError,
    LockedError,
    ModuleNotFoundError,
    OSError,
    UnsafeCheckpointError,
    ValueError,
    VideoReadError,
)
# What these raise is about the config, and so are arguments that a class of it does not take.
CONFIG_READERS = ('mmengine.config', 'mmengine.registry')
WRONG_ARGUMENT = re.compile(r'__init__\(\) (got an unexpected|missing \d+ required)')
PACKAGE = __name__.partition('.')[0]
GO_ON = 'Run the same command to go on with the rest.'
INTERRUPTED = 130  # what a shell gives a program that Ctrl-C stops
SHOW_TRACEBACK = 'DIFFUSIONRET_MM_TRACEBACK'
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
SENTENCES = {
    errno.EACCES: '{} cannot be used: permission denied.',
    errno.EEXIST: '{} exists already, as something else than what is to be made there.',
    errno.EISDIR: '{} is a folder; a file is wanted.',
    errno.ENAMETOOLONG: '{} cannot be used: the name is too long.',
    errno.ENOENT: 'There is no file or folder {}.',
    errno.ENOTDIR: '{} lies below a file, or is one; a folder is wanted.',
    errno.EPERM: '{} cannot be used: permission denied.',
    errno.EROFS: '{} cannot be written: its disk is read-only.',
}


@contextmanager
def stop_with_message(interrupted: str = '') -> Iterator[None]:
    """End a tool with a sentence and status 2, without a traceback, on errors of its user.

    For the `main` of each tool, as a decorator. The environment variable DIFFUSIONRET_MM_TRACEBACK
    brings the tracebacks back.

    Args:
        interrupted: what is said to those who interrupt the tool.

    Raises:
        SystemExit: with status 2 on such an error, 130 if the tool is interrupted, and 1 if nobody
            reads what it prints.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f'Stopped. {interrupted}'.rstrip(), file=sys.stderr)
        gc.freeze()  # Python looks for garbage among all modules before it ends: for seconds
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        raise SystemExit(1) from None
    except Exception as error:
        if os.environ.get(SHOW_TRACEBACK) or not is_for_user(error):
            raise
        print(sentence(error), file=sys.stderr)
        raise SystemExit(2) from error


def is_for_user(error: Exception) -> bool:
    """Tell whether an error is about what a user gave, not about a defect of the program.

    Args:
        error: as it was caught.
    """
    if isinstance(error, (*USER_ERRORS, torch.OutOfMemoryError, MemoryError)):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    module = frames[-1].f_globals.get('__name__', '')
    if module.startswith(CONFIG_READERS):
        return True
    if isinstance(error, TypeError) and WRONG_ARGUMENT.search(str(error)):
        return True
    # Raised on purpose: torch raises the same classes from its own code.
    line = linecache.getline(frames[-1].f_code.co_filename, error_line(error))
    return module.partition('.')[0] == PACKAGE and line.lstrip().startswith('raise ')


def error_line(error: Exception) -> int:
    """Return the number of the line that raised an error."""
    return [number for _, number in traceback.walk_tb(error.__traceback__)][-1]


def sentence(error: Exception) -> str:
    """Return what to tell the user.

    Args:
        error: one of which `is_for_user` is true.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return (
            f'There is not enough memory ({_text(error)}). Take smaller batches, or encode them in '
            'parts by model.encode_chunk.'
        )
    if isinstance(error, OSError) and error.errno is not None:
        return _of_system(error)
    return _text(error)


def _of_system(error: OSError) -> str:
    path = error.filename2 or error.filename
    if error.errno in NO_ROOM:
        return f'The disk is full{_free(path)}. Make room and start again.'
    if path is None or error.errno not in SENTENCES:
        where = '' if path is None else f'{printable(os.fsdecode(path))}: '
        return f'{where}{error.strerror or error} ({type(error).__name__}).'
    return SENTENCES[error.errno].format(printable(os.fsdecode(path)))


def _free(path: str | bytes | None) -> str:
    if not isinstance(path, str):
        return ''
    folder = next(parent for parent in Path(path).absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free / 1e6
    return f': {path} could not be written, and {folder} has {free:,.0f} MB left'


def _text(error: Exception) -> str:
    # The text of a KeyError is the representation of its key.
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    lines = [printable(line) for line in str(text).strip().splitlines()]
    told = '\n'.join(lines) or type(error).__name__
    return told if told.endswith(('.', '?', '!')) else f'{told}.'
