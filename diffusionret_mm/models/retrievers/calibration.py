"""Similarity and generator as one probability per candidate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from torch import Tensor

# What is tried. A similarity is a cosine: temperatures around 1 / 50, the published logit scale.
TEMPERATURES = tuple(0.005 * 2 ** (step / 2) for step in range(13))  # 0.005 to 0.32
# Large weights are for softmax(x_0) of a diffusion: x_0 is at most 1, so it is nearly flat.
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
# What a generated probability counts at least, so that its logarithm is finite.
LEAST = 1e-6


@dataclass(frozen=True)
class Calibration:
    """Weighs a similarity and a generated distribution as a product of experts.

    log p = S / temperature + weight * log g + constant, over the candidates that are re-ranked.

    Args:
        temperature: of the similarity S.
        weight: of the generated distribution g; 0 leaves the order of S.
    """

    temperature: float
    weight: float

    def log_probabilities(self, scores: Tensor, generated: Tensor) -> Tensor:
        """Return log p of each candidate.

        Args:
            scores: similarities, shape [n, K].
            generated: probabilities of the generator, shape [n, K].
        """
        logits = scores / self.temperature + self.weight * generated.clamp_min(LEAST).log()
        return logits.log_softmax(dim=1)

    @classmethod
    def fit(cls, scores: Tensor, generated: Tensor, right: Tensor) -> Calibration:
        """Choose by the likelihood of the right candidates.

        Args:
            scores: similarities of n queries and their K best candidates, [n, K].
            generated: probabilities of the generator, [n, K].
            right: which candidates are right, [n, K], bool. Queries without one do not count.

        Returns:
            The best of `TEMPERATURES` and `WEIGHTS`; of equal ones the smallest weight.

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
            likelihood = log_p.masked_fill(wrong, float('-inf')).logsumexp(dim=1).mean().item()
            return -round(likelihood, 9)  # what differs by rounding alone is equal

        weight, temperature = min(product(WEIGHTS, TEMPERATURES), key=loss)
        return cls(temperature, weight)


def join(scores: Tensor, log_probabilities: Tensor) -> Tensor:
    """Make final scores of probabilities: above all candidates that are not re-ranked.

    Args:
        scores: similarities of each query's best candidates, best first, [n, K].
        log_probabilities: of the same candidates.

    Returns:
        The last similarity of each row plus the probabilities, [n, K].
    """
    return scores[:, -1:] + log_probabilities.exp().to(scores)
