"""The benchmark runs, and its two kinds of epoch have the same losses."""

import json

import pytest


@pytest.mark.usefixtures('benchmarks')
def test_it_compares_epochs_with_and_without_cache(tmp_path, run_tool):
    target = tmp_path / 'figures.json'
    options = ['--videos', 12, '--batch-size', 6, '--repeats', 1, '--json', target]
    done = run_tool('benchmarks/generation_stage', *options)
    assert done.status == 0, done.err
    figures = json.loads(target.read_text())
    assert figures['max_abs_diff'] < 1e-5
    assert figures['ratio'] == figures['published_s'] / figures['ours_s']
    assert figures['batches'] == 2
    # Every epoch encodes all frames of its videos, or none.
    assert (figures['images_without'], figures['images_with']) == (12 * 4, 0)
    assert figures['peak_rss_mb'] > 100  # torch alone takes more
    for name in ('ratio', 'build_s', 'cache_mb', 'images_with'):
        assert f'{name} ' in done.out
