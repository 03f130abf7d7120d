"""Whether probabilities are what they say: likelihood, calibration error, AUROC."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# What the right answer's probability counts at least, so that one miss makes no mean infinite.
LEAST = 1e-6
BINS = 15


@dataclass(frozen=True)
class Listed:
    """Probabilities over the candidates that are listed for n queries; they sum to 1.

    Args:
        best: rows of the candidates, [n, K], int64.
        probabilities: of them, [n, K].
    """

    best: Tensor
    probabilities: Tensor


@dataclass(frozen=True)
class Matches:
    """How sure it is that any candidate fits, of the same n queries; the larger, the surer.

    Args:
        answered: with their answers in the gallery, [n].
        unanswered: without them, [n].
    """

    answered: Tensor
    unanswered: Tensor


def list_metrics(listed: Listed, answer_of: Tensor, own: Tensor) -> dict[str, float]:
    """Measure probabilities over lists of candidates.

    Candidates of one answer, such as the captions of a video, count as one: their probabilities are
    added.

    Args:
        listed: the probabilities of n queries.
        answer_of: the answer that each of all C candidates is of, [C], integer.
        own: the answer of each query, [n], integer.

    Returns:
        `NLL`, the mean of -log p of the right answer, and `ECE`, the expected calibration error of
        the likeliest answer, in percent. In a list without the right answer its p is 0; p counts at
        least 1e-6.

    Examples:
        >>> listed = Listed(torch.tensor([[0, 1, 2]]), torch.tensor([[0.5, 0.25, 0.25]]))
        >>> list_metrics(listed, torch.tensor([0, 1, 1]), torch.tensor([1]))
        {'NLL': 0.6931471805599453, 'ECE': 50.0}
    """
    answers = answer_of.to(listed.best.device)[listed.best]
    own = own.to(answers.device)[:, None]
    probabilities = listed.probabilities.double()
    right = (probabilities * (answers == own)).sum(dim=1)
    same = answers[:, :, None] == answers[:, None, :]
    best = torch.einsum('nij,nj->ni', same.double(), probabilities).max(dim=1)
    is_right = answers.gather(1, best.indices[:, None]) == own
    return {
        'NLL': -right.clamp_min(LEAST).log().mean().item(),
        'ECE': calibration_error(best.values, is_right[:, 0]),
    }


def match_metrics(matches: Matches, is_probability: bool) -> dict[str, float]:
    """Measure how well queries with and without an answer are told apart.

    Args:
        matches: of the same queries with and without their answers.
        is_probability: whether they are probabilities.

    Returns:
        In percent `NM-AUROC`, and of probabilities `NM-ECE`, their expected calibration error.
    """
    metrics = {'NM-AUROC': auroc(matches.answered, matches.unanswered)}
    if is_probability:
        is_match = torch.zeros(len(matches.answered) + len(matches.unanswered), dtype=torch.bool)
        is_match[: len(matches.answered)] = True
        both = torch.cat([matches.answered, matches.unanswered])
        metrics['NM-ECE'] = calibration_error(both, is_match.to(both.device))
    return metrics


def calibration_error(probabilities: Tensor, is_true: Tensor, bins: int = BINS) -> float:
    """Expected calibration error, in percent.

    The mean over n events of the difference between their mean probability and how often they are
    true, within 15 equal intervals of the probability.

    Args:
        probabilities: from 0 to 1, [n].
        is_true: what happened, [n], bool.
        bins: number of intervals.

    Examples:
        >>> calibration_error(torch.tensor([0.75, 0.75]), torch.tensor([True, False]))
        25.0
    """
    values = probabilities.double()
    place = (values * bins).long().clamp(max=bins - 1)
    differences = torch.zeros(bins, dtype=torch.double, device=values.device)
    differences.index_add_(0, place, values - is_true.double())
    return 100 * differences.abs().sum().item() / len(values)


def auroc(positive: Tensor, negative: Tensor) -> float:
    """How often a positive has a larger value than a negative, in percent; ties count half.

    Args:
        positive: values of n positives, [n].
        negative: values of m negatives, [m].

    Examples:
        >>> auroc(torch.tensor([2.0, 1.0]), torch.tensor([0.0, 1.0]))
        87.5
    """
    ordered, values = negative.double().sort().values, positive.double().contiguous()
    below = torch.searchsorted(ordered, values) + torch.searchsorted(ordered, values, right=True)
    return 100 * below.double().mean().item() / (2 * len(ordered))
