"""The mutation checks: what they change, what they report, and their exit code."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools/benchmarks/mutations.py'

SOURCE = '''"""A module with 1 docstring."""
LIMIT: int = 1


def best(x, y=False):
    """Say 1 < 2."""
    if not (x < 1 and y):
        raise ValueError(f'{x - 1} is too small')
    return max(x) + 2
'''
CHANGED = {
    2: ['LIMIT: int = 2', 'LIMIT: int = 0'],
    5: ['def best(x, y=True):'],
    7: [
        'if (x < 1 and y):',
        'if not ((x < 1 or y)):',
        'if not ((x <= 1) and y):',
        'if not ((x > 1) and y):',
        'if not (x < 2 and y):',
        'if not (x < 0 and y):',
    ],
    8: ["pass  # raise ValueError(f'{x - 1} is too small')"],
    9: [
        'return None  # max(x) + 2',
        'return (max(x) - 2)',
        'return min(x) + 2',
        'return max(x) + 3',
    ],
}


@pytest.fixture
def tool(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('mutations', TOOL)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'mutations', module)
    spec.loader.exec_module(module)
    (tmp_path / 'diffusionret_mm').mkdir()
    (tmp_path / 'diffusionret_mm/small.py').write_text(SOURCE)
    monkeypatch.setattr(module, 'ROOT', tmp_path)
    return module


def test_modules_and_tests_are_where_the_tool_looks(tool):
    for module, tests in tool.MODULES.items():
        for path in (f'diffusionret_mm/{module}', *tests):
            assert (ROOT / path).is_file(), path
        assert tests


def test_an_equivalent_mutant_is_one_that_is_made(tool, monkeypatch):
    monkeypatch.setattr(tool, 'ROOT', ROOT)
    made = {(m.module, m.after) for module in tool.MODULES for m in tool.mutants_of(module)}
    assert set(tool.EQUIVALENT) <= made


def test_every_part_that_runs_is_changed_once(tool):
    found = {}
    for mutant in tool.mutants_of('small.py'):
        compile(mutant.source, 'small.py', 'exec')
        changed = SOURCE.splitlines()
        assert mutant.before == changed[mutant.line - 1].strip()
        indent = ' ' * changed[mutant.line - 1].index(mutant.before)
        changed[mutant.line - 1] = indent + mutant.after
        assert mutant.source.splitlines() == changed
        found.setdefault(mutant.line, []).append(mutant.after)
    assert found == CHANGED


@pytest.mark.slow
def test_a_mutant_dies_by_a_test_of_it_and_survives_others(tmp_path):
    (tmp_path / 'test_weak.py').write_text('def test_nothing():\n    assert True\n')
    code = (
        'import mutations, sys\n'
        "sys.argv += ['--files', 'generation_kl.py', '--limit', '1']\n"
        'print(mutations.main())\n'
        f'mutations.MODULES["models/losses/generation_kl.py"] = [{str(tmp_path)!r}]\n'
        'print(mutations.main())\n'
    )
    path = f'{TOOL.parent}:{ROOT}'
    done = subprocess.run(
        [sys.executable, '-c', code],
        env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'test_losses.py::test_generation_loss' in lines[0]
    assert [lines[3], lines[4]] == [
        '1 killed, 0 equivalent, 0 survived; 100.0 % of those that are not equivalent are killed',
        '0',
    ]
    assert lines[5].startswith('survived   models/losses/generation_kl.py:')
    assert [lines[8], lines[9]] == [
        '0 killed, 0 equivalent, 1 survived; 0.0 % of those that are not equivalent are killed',
        '1',
    ]
