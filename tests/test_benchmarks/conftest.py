"""The folder of the benchmarks, from which they import one another."""

import pytest
from tool_modules import TOOLS


@pytest.fixture
def benchmarks(monkeypatch):
    """Let the benchmarks import one another, as they do when they are run."""
    monkeypatch.syspath_prepend(TOOLS / 'benchmarks')


@pytest.fixture
def small_machine_rate(benchmarks, monkeypatch):
    """Measure the rate of the machine by small matrices, in milliseconds."""
    monkeypatch.setattr('measuring.MATRIX_SIZE', 256)
