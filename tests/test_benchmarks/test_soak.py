"""The soak test, with few kills."""

import json
from pathlib import Path

import pytest
import torch
from processes import run_script
from tool_modules import load_tool

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/soak.py'


@pytest.mark.slow
def test_a_run_killed_in_a_checkpoint_and_in_the_cache_ends_like_one_never_killed(tmp_path):
    kills = tmp_path / 'kills.json'
    done = run_script(TOOL, '--kills', 2, '--folder', tmp_path / 'runs', '--json', kills)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '2 kills' in done.stdout
    assert 'metrics and weights are equal' in done.stdout
    assert {kill['phase'] for kill in json.loads(kills.read_text())} == {'checkpoint', 'cache'}


def test_kills_cover_all_phases_and_repeat():
    tool = load_tool('benchmarks/soak')
    kills = tool.plan(20, seed=0)
    assert {kill.phase for kill in kills} == set(tool.PHASES)
    assert kills == tool.plan(20, seed=0) != tool.plan(20, seed=1)
    assert [kill.iteration for kill in kills] == sorted(kill.iteration for kill in kills)


def test_a_difference_is_found():
    same = load_tool('benchmarks/soak').same
    one = dict(a=[torch.ones(2), dict(b=1)], c=None)
    assert same(one, dict(a=[torch.ones(2), dict(b=1)], c=None))
    assert not same(one, dict(a=[torch.tensor([1, 1 + 1e-6]), dict(b=1)], c=None))
    assert not same(one, dict(a=[torch.ones(2)], c=None))
