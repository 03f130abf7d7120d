"""The benchmark runs, and its two kinds of epoch have the same losses."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_it_compares_epochs_with_and_without_cache(tmp_path):
    command = [sys.executable, str(ROOT / 'tools/benchmarks/generation_stage.py')]
    options = ['--videos', '12', '--batch-size', '6', '--repeats', '1', '--json', 'figures.json']
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')
    done = subprocess.run(
        command + options, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert figures['max_abs_diff'] < 1e-5
    assert figures['ratio'] == figures['published_s'] / figures['ours_s']
    assert figures['batches'] == 2
    # Every epoch encodes all frames of its videos, or none.
    assert (figures['images_without'], figures['images_with']) == (12 * 8, 0)
    assert figures['peak_rss_mb'] > 100  # torch alone takes more
    for name in ('ratio', 'build_s', 'cache_mb', 'images_with'):
        assert f'{name} ' in done.stdout
