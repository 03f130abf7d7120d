"""Similarity and generator as one probability per candidate, and whether any candidate fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from itertools import chain, product
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

# What is tried. A similarity is a cosine: temperatures around 1 / 50, the published logit scale.
TEMPERATURES = tuple(0.005 * 2 ** (step / 2) for step in range(13))  # 0.005 to 0.32
# Large weights are for softmax(x_0) of a diffusion: x_0 is at most 1, so it is nearly flat.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
# What a generated probability counts at least, so that its logarithm is finite.
LEAST = 1e-6
# Penalty of the squared weights of a match: they stay finite where a split is told apart.
RIDGE = 1e-4


@dataclass(frozen=True)
class Match:
    """Probability that any candidate fits a query: a logistic regression.

    logit = bias + similarity * max_k S_k + generated * max_k x_k

    where S are the similarities of the candidates that are re-ranked, and x is what the second
    stage made of them before its softmax, the mean over the draws.

    Args:
        bias: it stands for as many queries with an answer as without.
        similarity: weight of the largest similarity.
        generated: weight of the largest x.
    """

    bias: float
    similarity: float
    generated: float

    def probability(self, scores: Tensor, logits: Tensor) -> Tensor:
        """Return the probability for n queries, [n].

        Args:
            scores: similarities of their K candidates, [n, K].
            logits: x of these candidates, [n, K].
        """
        return self._logit(_largest(scores, logits)).sigmoid()

    def _logit(self, features: Tensor) -> Tensor:
        return self.bias + features[:, 0] * self.similarity + features[:, 1] * self.generated

    @classmethod
    def fit(cls, answered: tuple[Tensor, Tensor], unanswered: tuple[Tensor, Tensor]) -> Match:
        """Choose by likelihood.

        Args:
            answered: `scores` and `logits` of queries whose answer is in the gallery, [n, K] each.
            unanswered: those of queries whose answer is not, [m, K'] each.
        """
        features = torch.cat([_largest(*answered), _largest(*unanswered)]).double().cpu()
        is_match = torch.zeros(len(features), dtype=torch.double)
        is_match[: len(answered[0])] = 1
        mean, spread = features.mean(dim=0), features.std(dim=0).clamp_min(1e-12)
        chosen = _regress((features - mean) / spread, is_match)
        weights = chosen[1:] / spread
        return cls((chosen[0] - weights @ mean).item(), *weights.tolist())


@dataclass(frozen=True)
class Judgement:
    """How sure a calibrated model is.

    Args:
        probabilities: of each candidate of n queries, if any of them fits; they sum to 1, [n, K].
        confidence: probability that any of them fits, [n]; None if no `Match` is kept.
        by_similarity: what the similarity alone says, as `probabilities`; None if not kept.
        by_generator: what the second stage alone says; None if not kept.
    """

    probabilities: Tensor
    confidence: Tensor | None = None
    by_similarity: Tensor | None = None
    by_generator: Tensor | None = None


@dataclass(frozen=True)
class Alone:
    """Temperature and weight of the two experts, each without the other.

    Args:
        temperature: as of `Calibration`, with weight 0.
        weight: as of `Calibration`, without S.
    """

    temperature: float
    weight: float


@dataclass(frozen=True)
class Calibration:
    """Weighs a similarity and a generated distribution as a product of experts.

    log p = S / temperature + weight * log g + constant, over the candidates that are re-ranked.
    Others have no probability.

    Args:
        temperature: of the similarity S.
        weight: of the generated distribution g; 0 leaves the order of S.
        match: says whether any candidate fits; None in checkpoints of before that was kept.
        alone: what each expert has without the other; None, too.
    """

    temperature: float
    weight: float
    match: Match | None = None
    alone: Alone | None = None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Calibration:
        """Make one of what a checkpoint keeps: two numbers, or seven with `match` and `alone`."""
        temperature, weight, *more = numbers
        if not more:
            return cls(temperature, weight)
        return cls(temperature, weight, Match(*more[:3]), Alone(*more[3:]))

    @property
    def numbers(self) -> list[float]:
        """What a checkpoint keeps; see `of`."""
        more = [astuple(part) for part in (self.match, self.alone) if part is not None]
        return [self.temperature, self.weight, *chain.from_iterable(more)]

    def log_probabilities(self, scores: Tensor, generated: Tensor) -> Tensor:
        """Return log p of each candidate.

        Args:
            scores: similarities, shape [n, K].
            generated: probabilities of the generator, shape [n, K].
        """
        logits = scores / self.temperature + self.weight * generated.clamp_min(LEAST).log()
        return logits.log_softmax(dim=1)

    def judge(self, scores: Tensor, generated: Tensor, logits: Tensor) -> Judgement:
        """Return how sure the candidates are.

        Args:
            scores: similarities, shape [n, K].
            generated: probabilities of the generator, shape [n, K].
            logits: what it made before its softmax, shape [n, K].
        """
        probabilities = self.log_probabilities(scores, generated).exp()
        if self.match is None or self.alone is None:
            return Judgement(probabilities)
        experts = Calibration(self.alone.temperature, 0.0), Calibration(inf, self.alone.weight)
        return Judgement(
            probabilities,
            self.match.probability(scores, logits),
            *(expert.log_probabilities(scores, generated).exp() for expert in experts),
        )

    def with_match(
        self, answered: tuple[Tensor, Tensor], unanswered: tuple[Tensor, Tensor]
    ) -> Calibration:
        """Return the same with a `Match` that fits; arguments as of `Match.fit`."""
        return replace(self, match=Match.fit(answered, unanswered))

    @classmethod
    def fit(cls, scores: Tensor, generated: Tensor, right: Tensor) -> Calibration:
        """Choose by the likelihood of the right candidates.

        Args:
            scores: similarities of n queries and their K best candidates, [n, K].
            generated: probabilities of the generator, [n, K].
            right: which candidates are right, [n, K], bool. Queries without one do not count.

        Returns:
            The best of `TEMPERATURES` and `WEIGHTS`, together and alone; of equal ones the smallest
            weight. It has no `match`.

        Raises:
            ValueError: if no query has a right candidate.
        """
        known = right.any(dim=1)
        if not known.any():
            raise ValueError(
                'No query has a right candidate among those that are re-ranked: there is nothing '
                'to calibrate on.'
            )
        scores, generated = scores[known].double(), generated[known].double()
        wrong = ~right[known]

        def loss(pair: tuple[float, float]) -> float:
            weight, temperature = pair
            log_p = cls(temperature, weight).log_probabilities(scores, generated)
            likelihood = log_p.masked_fill(wrong, -inf).logsumexp(dim=1).mean().item()
            return -round(likelihood, 9)  # what differs by rounding alone is equal

        weight, temperature = min(product(WEIGHTS, TEMPERATURES), key=loss)
        _, alone = min(product((0.0,), TEMPERATURES), key=loss)
        alone_weight, _ = min(product(WEIGHTS, (inf,)), key=loss)
        return cls(temperature, weight, alone=Alone(alone, alone_weight))


def join(scores: Tensor, probabilities: Tensor) -> Tensor:
    """Make final scores of probabilities: above all candidates that are not re-ranked.

    Args:
        scores: similarities of each query's best candidates, best first, [n, K].
        probabilities: of the same candidates.

    Returns:
        The last similarity of each row plus the probabilities, [n, K].
    """
    return scores[:, -1:] + probabilities.to(scores)


def _largest(scores: Tensor, logits: Tensor) -> Tensor:
    """What `Match` reads of n queries, [n, 2]."""
    return torch.stack([scores.amax(dim=1), logits.amax(dim=1)], dim=1)


def _regress(features: Tensor, is_match: Tensor) -> Tensor:
    """Bias and weights of the likeliest logistic regression, [1 + F], of features [m, F]."""
    weights = torch.zeros(1 + features.shape[1], dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn='strong_wolfe')

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = weights[0] + features @ weights[1:]
        value = F.binary_cross_entropy_with_logits(logits, is_match)
        value = value + RIDGE * weights[1:].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return weights.detach()
