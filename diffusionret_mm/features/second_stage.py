"""What the second stage of a retriever says of a split: alone, and joined with the similarity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
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
            name: self._ranking(lambda direction, found, of=of: join(found.scores, of(found)))
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
            name: self._pair(
                lambda direction, found, of=of: self._by_generator(direction, found, of)
            )
            for name, of in self._alone.items()
        }
        judged = self._pair(self.model.judge)
        for name, part in {'discrimination': 'by_similarity', '': 'probabilities'}.items():
            pair = tuple(None if each is None else getattr(each, part) for each in judged)
            if all(each is not None for each in pair):
                rows[name] = pair
        best = self._pair(lambda _, found: found.best)
        return {name: tuple(map(Listed, best, pair)) for name, pair in rows.items()}

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
            '': lambda direction, found: self.model.judge(direction, found).confidence,
        }
        return {
            name: self._pair(
                lambda direction, found, of=of: Matches(
                    of(direction, found), of(direction, self.unanswered[direction])
                )
            )
            for name, of in rows.items()
        }

    @property
    def _alone(self) -> dict[str, Callable[[GeneratedCandidates], Tensor]]:
        """The distributions of the second stage alone, by the name of the ranking."""
        alone = dict(generation=lambda found: found.probabilities)
        if self.model.averaged_draws > 1:
            alone['one_draw'] = lambda found: found.first_draw
        return alone

    def _by_generator(
        self,
        direction: str,
        found: GeneratedCandidates,
        of: Callable[[GeneratedCandidates], Tensor],
    ) -> Tensor:
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
        found = {}
        texts, videos = self.split.texts, self.split.videos
        for direction, sides in dict(t2v=(texts, videos), v2t=(videos, texts)).items():
            scores, without = self.scores[direction], None
            if without_answers:
                without = self.split.is_right(direction).to(scores.device)
            found[direction] = generate_all(self.model, direction, scores, *sides, without)
        return {} if None in found.values() else found

    def _pair(self, of: Of) -> Pair:
        return tuple(of(name, self.found[name]) for name in DIRECTIONS)

    def _ranking(self, of: Of) -> Pair:
        """Scores of all candidates, in both directions, from those of the listed ones."""
        return self._pair(
            lambda name, each: (
                self.scores[name]
                .to(self.model.similarity.placement)
                .scatter(1, each.best, of(name, each))
            )
        )
