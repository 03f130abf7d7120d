"""What the second stage of a retriever says of a split: alone, and joined with the similarity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from torch import Tensor

from diffusionret_mm.evaluation.confidence import Listed, Matches
from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.scoring import generate_all, rerank_all
from diffusionret_mm.models.generators import DIRECTIONS
from diffusionret_mm.models.retrievers.calibration import join
from diffusionret_mm.models.retrievers.reranking import GeneratedCandidates

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever

Pair = tuple[Any, Any]  # of t2v and v2t
Of = Callable[[str, GeneratedCandidates], Any]
Distribution = Callable[[GeneratedCandidates], Tensor]


class SecondStage:
    """The second stage on a split. Distributions are generated when they are first asked for.

    All processes must ask for the same: they share the work.

    Args:
        model: the retriever, in evaluation mode.
        split: N texts and M videos.
        t2v: similarities, [N, M].
        v2t: those of videos and texts, [M, N].
    """

    def __init__(
        self, model: TextVideoRetriever, split: EncodedSplit, t2v: Tensor, v2t: Tensor
    ) -> None:
        self.model = model
        self.split = split
        self.scores = dict(t2v=t2v, v2t=v2t)

    @cached_property
    def found(self) -> dict[str, GeneratedCandidates]:
        """The distributions of each direction; none unless the model makes them in both."""
        return self._generate()

    @cached_property
    def unanswered(self) -> dict[str, GeneratedCandidates]:
        """Those of the same queries without their answers in the gallery."""
        return self._generate(without_answers=True)

    def rerank(self) -> tuple[Tensor, Tensor]:
        """Return the final scores: t2v [N, M] and v2t [M, N]."""
        if not self.found:
            return rerank_all(self.model, self.split.texts, self.split.videos, *self._both)
        return self._ranking(self.model.combine)

    def rankings(self) -> dict[str, Pair]:
        """Return the scores of the second stage alone, by the name of the ranking.

        The listed candidates stand before the others. 'one_draw' is there if the distributions are
        means of several draws.
        """
        if not self.found:
            return {}
        return {
            name: self._ranking(partial(self._before_the_others, of))
            for name, of in self._alone.items()
        }

    def distributions(self) -> dict[str, Pair]:
        """Return the probabilities of the listed candidates (`Listed`), by the name of the ranking.

        If the model is calibrated, the final ranking has some, and the other rankings have theirs
        at the temperature and weight that are likeliest for them alone. Of other models those that
        were generated are left.
        """
        if not self.found:
            return {}
        rows = {
            name: self._pair(partial(self._by_generator, of)) for name, of in self._alone.items()
        }
        judged = self._pair(self.model.judge)
        for name, part in {'discrimination': 'by_similarity', '': 'probabilities'}.items():
            t2v, v2t = (None if each is None else getattr(each, part) for each in judged)
            if t2v is not None and v2t is not None:
                rows[name] = t2v, v2t
        best = [self.found[direction].best for direction in DIRECTIONS]
        return {
            name: (Listed(best[0], t2v), Listed(best[1], v2t)) for name, (t2v, v2t) in rows.items()
        }

    def matches(self) -> dict[str, Pair]:
        """Return how sure it is that any candidate fits (`Matches`), by the name of the ranking.

        Nothing if the model has no confidence. Similarity and second stage alone tell it by the
        largest similarity and logit.
        """
        if self.model.no_confidence is not None or not self.found:
            return {}
        rows: dict[str, Of] = {
            'discrimination': lambda _, found: found.scores.amax(dim=1),
            'generation': lambda _, found: found.logits.amax(dim=1),
            '': self._confidence,
        }
        return {name: self._pair(partial(self._matches, of)) for name, of in rows.items()}

    @property
    def _alone(self) -> dict[str, Distribution]:
        """The distributions of the second stage alone, by the name of the ranking."""
        alone: dict[str, Distribution] = dict(generation=lambda found: found.probabilities)
        if self.model.averaged_draws > 1:
            alone['one_draw'] = lambda found: found.first_draw
        return alone

    def _before_the_others(self, of: Distribution, _: str, found: GeneratedCandidates) -> Tensor:
        """Scores of the listed candidates above all others, in the order of a distribution."""
        return join(found.scores, of(found))

    def _confidence(self, direction: str, found: GeneratedCandidates) -> Tensor | None:
        judged = self.model.judge(direction, found)
        return None if judged is None else judged.confidence

    def _matches(self, of: Of, direction: str, found: GeneratedCandidates) -> Matches:
        return Matches(of(direction, found), of(direction, self.unanswered[direction]))

    def _by_generator(self, of: Distribution, direction: str, found: GeneratedCandidates) -> Tensor:
        """A distribution of the second stage as it is likeliest alone, or as it is."""
        generated = of(found)
        judged = self.model.judge(direction, replace(found, probabilities=generated))
        if judged is None or judged.by_generator is None:
            return generated
        return judged.by_generator

    @property
    def _both(self) -> tuple[Tensor, Tensor]:
        return self.scores['t2v'], self.scores['v2t']

    def _generate(self, without_answers: bool = False) -> dict[str, GeneratedCandidates]:
        found: dict[str, GeneratedCandidates] = {}
        for direction in DIRECTIONS:
            queries, candidates = self.split.sides(direction)
            scores, without = self.scores[direction], None
            if without_answers:
                without = self.split.is_right(direction).to(scores.device)
            each = generate_all(self.model, direction, scores, queries, candidates, without)
            if each is None:
                return {}
            found[direction] = each
        return found

    def _pair(self, of: Of) -> Pair:
        t2v, v2t = (of(name, self.found[name]) for name in DIRECTIONS)
        return t2v, v2t

    def _ranking(self, of: Of) -> Pair:
        """Scores of all candidates, in both directions, from those of the listed ones."""
        return self._pair(
            lambda name, each: (
                self.scores[name]
                .to(self.model.similarity.placement)
                .scatter(1, each.best, of(name, each))
            )
        )
