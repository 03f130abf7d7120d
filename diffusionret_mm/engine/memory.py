"""The memory of a process."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys

import torch

# Linux counts kilobytes, macOS bytes.
RSS_UNIT = 1 if sys.platform == 'darwin' else 1024

# Options of glibc's `mallopt`, from its malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory() -> bool:
    """Let this process keep the memory that it frees, for what it allocates next.

    glibc returns each large block to the kernel when it is freed. Training on a CPU allocates the
    same blocks again in the next step, and the kernel clears their pages each time. The process
    keeps its largest size until it ends.

    Returns:
        Whether the C library is glibc and took the setting. Elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def describe_peak_memory() -> str:
    """Say how much memory this process has taken at most, and of its GPU if it has one."""
    text = f'{peak_memory() / 1e6:,.0f} MB'
    if torch.cuda.is_available():
        text += f', of the GPU {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB'
    return text
