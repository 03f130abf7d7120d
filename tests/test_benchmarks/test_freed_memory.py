"""The benchmark of kept memory, at a small size."""

import re

import pytest

from diffusionret_mm.engine.memory import keep_freed_memory


@pytest.mark.usefixtures('benchmarks')
def test_both_steps_are_timed(run_tool):
    if not keep_freed_memory():
        pytest.skip('the C library is not glibc')
    done = run_tool('benchmarks/freed_memory', '--batch', 2, '--repeats', 1)
    assert done.status == 0, done.err
    assert 'returned' in done.out
    assert 'kept' in done.out
    assert float(re.search(r'ratio of the steps: ([\d.]+)', done.out)[1]) > 0
