"""The matching benchmark at a small size: both sides agree, and the figures are there."""

import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/matching.py'
SMALL = ['--texts', '70', '--videos', '45', '--words', '9', '--frames', '4', '--width', '64']


def run(tmp_path, *options):
    target = tmp_path / 'figures.json'
    command = [sys.executable, TOOL, *SMALL, '--repeats', '1', '--json', target, *options]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return json.loads(target.read_text()), done.stdout


def test_both_sides_agree(tmp_path):
    figures, table = run(tmp_path, '--mean-words', '6')
    assert figures['same_ranks'] is True
    assert figures['max_abs_diff'] < 1e-4
    assert figures['ratio'] == figures['published_s'] / figures['ours_s'] > 1
    assert figures['peak_rss_mb'] > 0
    assert figures['sizes']['texts'] == 70
    assert 'published, s' in table


def test_full_length_and_ours_alone(tmp_path):
    figures, _ = run(tmp_path, '--full-length', '--only-ours')
    assert figures['real_words'] == 70 * 9
    assert figures['real_frames'] == 45 * 4
    assert 'ratio' not in figures
