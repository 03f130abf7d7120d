"""The claims of a second stage, measured on a handful of clips."""

import json
import math

import pytest
import torch
from mmaction.registry import MODELS
from tool_modules import load_tool

from diffusionret_mm.models.retrievers.calibration import Calibration

SCORES = torch.tensor([[0.9, 0.8, 0.7, 0.1], [0.2, 0.6, 0.5, 0.4]])
BEST = torch.tensor([[0, 1], [1, 2]])
RIGHT = torch.tensor([[True, True, False, False], [False, False, True, False]])


@pytest.fixture
def side(benchmarks):
    """Two queries; the second stage prefers the second of their two candidates."""
    measures = load_tool('benchmarks/second_stage_measures')
    return measures.Side(SCORES, BEST, torch.tensor([[0.25, 0.75], [0.25, 0.75]]), RIGHT)


FITTED = {
    'similarity': Calibration(0.1, 0.0),
    'second stage': Calibration(0.1, 1.0),
    'both': Calibration(0.1, 1.0),
}


def test_each_method_ranks_by_its_own_probabilities_and_the_rest_behind(side):
    order = {name: side.ranking(name, FITTED).argsort(descending=True).tolist() for name in FITTED}
    assert order['similarity'] == [[0, 1, 2, 3], [1, 2, 3, 0]]
    assert order['second stage'] == [[1, 0, 2, 3], [2, 1, 3, 0]]
    expected = (math.log(0.75) + 0.5 / 0.1) - (math.log(0.25) + 0.6 / 0.1)
    log_p = side.log_probabilities('both', FITTED)
    assert (log_p[1, 1] - log_p[1, 0]).item() == pytest.approx(expected, abs=1e-5)


def test_likelihood_and_cross_entropy(side):
    # The first query has two right candidates, the second has one.
    assert side.likelihood('second stage', FITTED) == pytest.approx(-math.log(0.75) / 2)
    first = -(math.log(0.25) + math.log(0.75)) / 2
    assert side.cross_entropy('second stage', FITTED) == pytest.approx(
        (first - math.log(0.75)) / 2, abs=1e-6
    )
    assert side.least_cross_entropy() == pytest.approx(math.log(2) / 2)


def test_the_three_tables(tiny_second_stage, run_tool, benchmarks, tmp_path):
    torch.manual_seed(0)
    state = MODELS.build(tiny_second_stage).state_dict()
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'model.pth')
    done = run_tool(
        'benchmarks/second_stage_claims',
        *('--model', tmp_path / 'tiny.py', tmp_path / 'model.pth'),
        *('--shifts', tmp_path / 'to_fresh.py', '--several', tmp_path / 'to_vague.py'),
        *('--steps', 1, 3, '--draws', 1, 2, '--json', tmp_path / 'figures.json'),
    )
    assert done.status == 0, done.err
    figures = json.loads((tmp_path / 'figures.json').read_text())
    (domain,), (several,), (steps,) = (figures[key].values() for key in figures)
    assert {'val', 'test', 'fresh'} < set(domain[0])
    assert [row['measure'] for row in domain] == ['R@1, %'] * 6 + ['NLL, nats'] * 6
    assert {row['method'] for row in several} == {'similarity', 'second stage', 'both'}
    assert all(row['cross_entropy'] >= row['least'] for row in several)
    runs = [(row['steps'], row['draws']) for row in steps[::2]]
    assert runs == [(1, 1), (1, 2), (3, 1), (3, 2)]
    assert 'negative log likelihood, nats' in done.out
    assert 'time per query, ms' in done.out


def test_a_model_without_second_stage_is_refused(tiny_second_stage, run_tool, benchmarks, tmp_path):
    state = MODELS.build(tiny_second_stage).state_dict()
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'model.pth')
    done = run_tool(
        'benchmarks/second_stage_claims',
        *('--model', tmp_path / 'tiny.py', tmp_path / 'model.pth'),
        *('--claims', 'steps', '--cfg-options', 'model.stage=discrimination'),
    )
    assert done.status == 2
    assert 'has no second stage' in done.err
