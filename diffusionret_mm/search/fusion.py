"""The model's ranking of spans, and that by what is said in them, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diffusionret_mm.search.grouping import best_first
from diffusionret_mm.search.words import best_line

# The constant of reciprocal rank fusion: the larger, the less the first ranks count.
K = 60


@dataclass(frozen=True)
class Said:
    """What is said in some of C candidates, and how all are ranked with it.

    Args:
        sentence: what was searched for.
        texts: what is said in those that fit it, by place, the best first.
        ranked_by: what is ranked by, the largest first, [C].
    """

    sentence: str
    texts: Mapping[int, str]
    ranked_by: list[float]

    def line(self, place: int) -> str:
        """Return the line of a candidate that fits the sentence best."""
        return best_line(self.texts[place], self.sentence)


def fuse(scores: Sequence[float], matches: Sequence[int]) -> list[float]:
    """Fuse the model's ranking of C candidates with that of some by what is said in them.

    Reciprocal rank fusion: a candidate gets 1 / (60 + rank) for its rank by scores, and as much for
    that by subtitles, if it has one. Ranks count from 1. Of equal sums the scores decide.

    Args:
        scores: the model's scores, [C].
        matches: places of those whose subtitles fit, the best first; each once.

    Returns:
        What is to be ranked by, the largest first, [C]; no two are equal.
    """
    order = best_first(scores)
    sums = {place: 1 / (K + rank) for rank, place in enumerate(order, start=1)}
    for rank, place in enumerate(matches, start=1):
        sums[place] += 1 / (K + rank)
    values = [0.0] * len(order)
    for rank, place in enumerate(sorted(order, key=lambda place: -sums[place])):
        values[place] = -float(rank)
    return values
