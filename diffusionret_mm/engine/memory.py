"""The memory that a process has taken."""

from __future__ import annotations

import resource
import sys

import torch

# Linux counts kilobytes, macOS bytes.
RSS_UNIT = 1 if sys.platform == 'darwin' else 1024


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def describe_peak_memory() -> str:
    """Say how much memory this process has taken at most, and of its GPU if it has one."""
    text = f'{peak_memory() / 1e6:,.0f} MB'
    if torch.cuda.is_available():
        text += f', of the GPU {torch.cuda.max_memory_allocated() / 1e6:,.0f} MB'
    return text
