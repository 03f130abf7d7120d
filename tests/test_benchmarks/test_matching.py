"""The matching benchmark at a small size: both sides agree, and the figures are there."""

import json
import sys

import pytest
import torch
from tool_modules import load_tool
from torch.utils.flop_counter import FlopCounterMode

SMALL = ['--texts', '70', '--videos', '45', '--words', '9', '--frames', '4', '--width', '64']


@pytest.fixture
def run(tmp_path, run_tool, small_machine_rate):
    """A function that runs the benchmark and returns its figures and its table."""

    def measure(*options):
        target = tmp_path / 'figures.json'
        done = run_tool('benchmarks/matching', *SMALL, '--repeats', 1, '--json', target, *options)
        assert done.status == 0, done.err
        return json.loads(target.read_text()), done.out

    return measure


def test_both_sides_agree(run):
    figures, table = run('--mean-words', '6')
    assert figures['same_ranks'] is True
    assert figures['max_abs_diff'] < 1e-4
    assert figures['ratio'] == figures['published_s'] / figures['ours_s']
    assert figures['peak_rss_mb'] > 100  # torch alone takes more
    assert figures['sizes']['texts'] == 70
    assert 'published, s' in table


@pytest.mark.usefixtures('benchmarks')
def test_ours_needs_fewer_operations(monkeypatch):
    """Products of matrices, counted: no load of the machine changes them."""
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


def test_full_length_and_ours_alone(run):
    figures, _ = run('--full-length', '--only-ours')
    assert figures['real_words'] == 70 * 9
    assert figures['real_frames'] == 45 * 4
    assert 'ratio' not in figures


def test_other_second_stages_beside_the_published_one(run):
    names = ['published', 'listwise', 'token_diffusion']
    figures, table = run('--mean-words', '6', '--steps', '3', '--second-stages', *names)
    assert [row['second_stage'] for row in figures] == names
    assert ['published_s' in row for row in figures] == [True, False, False]
    assert all(row['ours_s'] > row['similarity_s'] for row in figures)
    assert all(name in table for name in names)
