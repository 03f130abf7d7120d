"""Likelihood, calibration error and AUROC against their definitions."""

import math

import pytest
import torch

from diffusionret_mm.evaluation.confidence import (
    LEAST,
    Listed,
    Matches,
    auroc,
    calibration_error,
    list_metrics,
    match_metrics,
)


@pytest.fixture
def listed():
    """Three queries with three of five candidates each, of four answers."""
    best = torch.tensor([[0, 1, 2], [4, 3, 0], [1, 2, 3]])
    return Listed(best, torch.tensor([[0.5, 0.3, 0.2], [0.4, 0.35, 0.25], [0.6, 0.3, 0.1]]))


def test_the_candidates_of_an_answer_are_added(listed):
    answer_of = torch.tensor([0, 1, 1, 2, 3])  # the second and third candidate are one answer
    found = list_metrics(listed, answer_of, torch.tensor([1, 2, 0]))
    # Right: 0.3 + 0.2, 0.35, not listed. Likeliest: 0.5 (answer 0), 0.4 (3), 0.9 (1): all wrong.
    log_p = math.log(0.5) + math.log(0.35) + math.log(LEAST)
    assert found['NLL'] == pytest.approx(-log_p / 3, rel=1e-6)
    assert found['ECE'] == pytest.approx(100 * (0.5 + 0.4 + 0.9) / 3, rel=1e-6)


def test_events_that_happen_as_often_as_they_are_said_to_have_no_error():
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.rand(200_000, generator=generator)
    happened = torch.rand(200_000, generator=generator) < probabilities
    assert calibration_error(probabilities, happened) < 0.5
    assert calibration_error(probabilities.square(), happened) == pytest.approx(100 / 6, abs=0.5)


def test_a_calibration_error_is_that_of_a_loop_over_bins():
    probabilities = torch.tensor([0.0, 0.05, 0.5, 0.52, 1.0, 1.0])
    happened = torch.tensor([True, False, True, False, True, False])
    expected = abs(0.05 - 1) + abs(1.02 - 1) + abs(2 - 1)
    assert calibration_error(probabilities, happened) == pytest.approx(100 * expected / 6, rel=1e-6)


def test_auroc_is_the_share_of_pairs():
    generator = torch.Generator().manual_seed(0)
    positive = torch.randint(0, 6, (40,), generator=generator).float() + 1
    negative = torch.randint(0, 6, (30,), generator=generator).float()
    pairs = positive[:, None] - negative
    expected = ((pairs > 0).double() + (pairs == 0).double() / 2).mean().item()
    assert auroc(positive, negative) == pytest.approx(100 * expected)
    assert auroc(negative, positive) == pytest.approx(100 - 100 * expected)


def test_only_probabilities_have_a_calibration_error():
    matches = Matches(torch.tensor([0.9, 0.8]), torch.tensor([0.1, 0.85]))
    assert match_metrics(matches, is_probability=False) == {'NM-AUROC': 75.0}
    assert match_metrics(matches, is_probability=True)['NM-ECE'] > 0
