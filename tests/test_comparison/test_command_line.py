"""tools/compare.py as a user types it."""

import csv
import json
from pathlib import Path

import pytest
from processes import run_script

ROOT = Path(__file__).parents[2]


def compare(folder, *options, fails=False):
    done = run_script(ROOT / 'tools/compare.py', *options, cwd=folder, fresh=True)
    output = done.stdout + done.stderr
    assert (done.returncode == 1) == fails, output[-3000:]
    return output


@pytest.mark.slow
def test_a_failure_stops_no_other_run(tmp_path, write_config):
    good, bad = write_config('good'), write_config('bad', model=dict(type='None'))
    options = ['--work-dir', 'runs', '--out', 'tables/one']
    output = compare(tmp_path, bad, good, *options, fails=True)
    failed = tmp_path / 'runs/bad/seed_0/run.log'
    assert f'bad, seed 0 failed: see {failed.relative_to(tmp_path)}' in output
    assert 'None is not in' in failed.read_text()
    table = (tmp_path / 'tables/one.md').read_text()
    assert '| good | 0 |' in table
    assert '| bad |' not in table
    assert 'bad, seed 0 failed' in table

    record_file = tmp_path / 'runs/good/seed_0/record.json'
    record = json.loads(record_file.read_text())
    metrics = json.loads((record_file.parent / 'metrics.json').read_text())
    assert record['metrics'] == metrics
    costs = record['costs']
    assert costs['parameters'] > 1e6
    assert all(costs[f'{name}_s'] > 0 for name in ('train', 'train_cpu', 'test', 'test_cpu'))
    assert costs['memory_mb'] > 0
    with (tmp_path / 'tables/one.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['seed'] for row in rows] == ['0', 'mean', 'std']
    assert float(rows[0]['t2v/R@1']) == metrics['t2v/R@1']
    assert (tmp_path / 'tables/one.png').read_bytes().startswith(b'\x89PNG')
