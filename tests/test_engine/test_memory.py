"""Freed memory stays with the process where the C library can keep it."""

import resource

import pytest
import torch

from diffusionret_mm.engine.memory import keep_freed_memory

LARGE = 2**26  # bytes; glibc returns blocks of more than 2**25 to the kernel


def faults():
    """Pages that a large block needs from the kernel."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(LARGE, dtype=torch.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_a_block_that_was_freed_is_used_again():
    if not keep_freed_memory():
        pytest.skip('the C library is not glibc')
    assert min(faults() for _ in range(4)) < LARGE // resource.getpagesize() // 10


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr('platform.libc_ver', lambda: ('', ''))
    assert keep_freed_memory() is False
