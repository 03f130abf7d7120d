"""The matching benchmark at a small size: both sides agree, and the figures are there."""

import json
import sys
from pathlib import Path

import torch
from processes import run_script
from tool_modules import load_tool
from torch.utils.flop_counter import FlopCounterMode

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/matching.py'
SMALL = ['--texts', '70', '--videos', '45', '--words', '9', '--frames', '4', '--width', '64']


def run(tmp_path, *options):
    target = tmp_path / 'figures.json'
    done = run_script(TOOL, *SMALL, '--repeats', 1, '--json', target, *options)
    assert done.returncode == 0, done.stderr
    return json.loads(target.read_text()), done.stdout


def test_both_sides_agree(tmp_path):
    figures, table = run(tmp_path, '--mean-words', '6')
    assert figures['same_ranks'] is True
    assert figures['max_abs_diff'] < 1e-4
    assert figures['ratio'] == figures['published_s'] / figures['ours_s']
    assert figures['peak_rss_mb'] > 100  # torch alone takes more
    assert figures['sizes']['texts'] == 70
    assert 'published, s' in table


def test_ours_needs_fewer_operations(monkeypatch):
    """Products of matrices, counted: no load of the machine changes them."""
    monkeypatch.syspath_prepend(TOOL.parent)
    monkeypatch.setattr(sys, 'argv', ['matching.py', *SMALL])
    tool = load_tool('benchmarks/matching')
    args = tool.parse_args()
    texts, videos = tool.draw_features(args)
    candidates = dict(t2v=70, v2t=45)
    noise = {key: torch.randn(1, queries, 32) for key, queries in candidates.items()}
    operations = []
    for match in (tool.our_matching, tool.published_matching):
        with FlopCounterMode(display=False) as counter:
            match(tool.build_model(args), texts, videos, noise)
        operations.append(counter.get_total_flops())
    ours, published = operations
    assert published > 4 * ours > 0


def test_full_length_and_ours_alone(tmp_path):
    figures, _ = run(tmp_path, '--full-length', '--only-ours')
    assert figures['real_words'] == 70 * 9
    assert figures['real_frames'] == 45 * 4
    assert 'ratio' not in figures
