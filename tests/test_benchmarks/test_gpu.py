"""The measurements of a GPU, rehearsed on the CPU: each part runs, and faults reach the page."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from processes import run_command
from tool_modules import TOOLS, load_tool

ROOT = Path(__file__).parents[2]
TESTS = '<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>'


@pytest.fixture
def gpu(benchmarks, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['gpu.py'])
    return load_tool('benchmarks/gpu')


@pytest.fixture
def methods(benchmarks):
    return load_tool('benchmarks/gpu_methods')


@pytest.mark.slow
@pytest.mark.timeout(1000)
@pytest.mark.skipif('GPU_REHEARSAL' not in os.environ, reason='takes minutes: set GPU_REHEARSAL=1')
def test_every_part_is_rehearsed_on_the_cpu(tmp_path):
    command = ['bash', TOOLS / 'benchmarks/gpu.sh', tmp_path / 'out', '--device', 'cpu']
    done = run_command(*command, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    page = (tmp_path / 'out/gpu.md').read_text()
    assert page.startswith('# On a GPU\n\nThis is a rehearsal on the CPU')
    assert '**Failed**' not in page
    assert re.search(r'`pytest -m gpu`: 0 passed, 0 failed, \d+ skipped\.', page)
    configs = {path.stem for path in (ROOT / 'configs/comparison').glob('*.py')}
    parts = json.loads((tmp_path / 'out/gpu.json').read_text())
    (steps,) = parts[0]['tables']
    assert {row[0] for row in steps['rows']} == configs
    assert len(steps['rows']) == len(configs) + 3  # DiffusionRet and its two relatives
    for part in parts:
        (table,) = part['tables']
        assert table['note'] in page
        assert all(len(row) == len(table['columns']) for row in table['rows'])


def test_the_page_is_there_and_says_that_no_card_was_had():
    page = (ROOT / 'docs/gpu.md').read_text()
    assert page.startswith('# On a GPU\n')
    assert 'bash tools/benchmarks/gpu.sh' in page
    if 'has not been run on a GPU' not in page:
        assert 'pytest -m gpu' in page
        assert 'rehearsal' not in page


def test_a_part_that_fails_is_named_and_the_others_follow(gpu, monkeypatch, tmp_path, capsys):
    def breaks(device, folder):
        yield gpu.Table('What was measured before.', [], [])
        raise SystemExit('The losses differ.')

    monkeypatch.setattr(gpu, 'PARTS', {'One': breaks, 'Two': lambda device, folder: ()})
    monkeypatch.setattr(sys, 'argv', ['gpu.py', '--device', 'cpu', '--out', str(tmp_path / 'out')])
    assert gpu.main() == 1
    page = (tmp_path / 'out/gpu.md').read_text()
    assert 'What was measured before.' in page
    assert '**Failed**: SystemExit: The losses differ.' in page
    assert page.index('## One') < page.index('**Failed**') < page.index('## Two')
    assert 'The losses differ.' in capsys.readouterr().err


def test_without_a_gpu_it_says_how_to_rehearse(gpu, monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    with pytest.raises(SystemExit, match='no GPU; --device cpu rehearses'):
        gpu.main()


def test_results_of_tests_are_read(gpu, tmp_path):
    file = tmp_path / 'tests.xml'
    assert gpu.describe_tests(file) == ('The tests were not run.', False)
    file.write_text(TESTS)
    text = '`pytest -m gpu`: 4 passed, 3 failed, 3 skipped.'
    assert gpu.describe_tests(file) == (text, False)
    file.write_text('<testsuite errors="0" failures="0" skipped="0" tests="1"/>')
    assert gpu.describe_tests(file)[1]


def test_losses_that_are_far_apart_are_named(methods):
    stage, other = 'discrimination', 'generation'
    near, far = ['a', stage, 4.0, 4.1, 3.9, None], ['b', stage, 4.0, 4.1, 5.0, None]
    failed, second = ['c', stage, None, 1.0, None, None], ['d', other, 4.0, 5.0, 5.0, None]
    assert methods.far_losses([near, failed, second]) == []
    (found,) = methods.far_losses([near, far])
    assert found == 'b (discrimination): the loss is 4.0 in float32 and 5.0 in bfloat16'
