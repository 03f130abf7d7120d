"""The benchmark runs, and its two kinds of epoch have the same losses."""

import json
from pathlib import Path

from processes import run_script

ROOT = Path(__file__).parents[2]


def test_it_compares_epochs_with_and_without_cache(tmp_path):
    options = ['--videos', 12, '--batch-size', 6, '--repeats', 1, '--json', 'figures.json']
    done = run_script(ROOT / 'tools/benchmarks/generation_stage.py', *options, cwd=tmp_path)
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
