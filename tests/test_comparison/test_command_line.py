"""tools/compare.py as a user types it: runs, a failure, and what is not run again."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def compare(folder, *options, fails=False):
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    command = [sys.executable, ROOT / 'tools/compare.py', *options]
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True,
        timeout=280,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert (done.returncode == 1) == fails, output[-3000:]
    return output


def test_a_failure_stops_no_other_and_what_is_done_is_not_run_again(tmp_path, write_config):
    good, bad = write_config('good'), write_config('bad', load_from='none.pth')
    output = compare(tmp_path, bad, good, '--work-dir', 'runs', fails=True)
    failed = tmp_path / 'runs/bad/seed_0/run.log'
    assert f'bad, seed 0 failed: see {failed.relative_to(tmp_path)}' in output
    assert 'none.pth' in failed.read_text()
    table = (tmp_path / 'runs/comparison.md').read_text()
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

    before = record_file.stat().st_mtime_ns
    options = ['--work-dir', 'runs', '--out', 'tables/one']
    compare(tmp_path, good, *options)
    assert record_file.stat().st_mtime_ns == before
    with (tmp_path / 'tables/one.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [row['seed'] for row in rows] == ['0', 'mean', 'std']
    assert float(rows[0]['t2v/R@1']) == metrics['t2v/R@1']
    assert (tmp_path / 'tables/one.png').read_bytes().startswith(b'\x89PNG')

    changed = ['--cfg-options', 'optim_wrapper.optimizer.lr=1.0']
    output = compare(tmp_path, good, *options, *changed, fails=True)
    assert 'holds runs of good with other settings' in output
