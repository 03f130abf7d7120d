"""Which videos are taken for which: kinds of errors, before and after re-ranking.

A query is *right* if a right candidate scores higher than all others; equal scores count as wrong.
N is the number of texts and M the number of videos throughout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Relation:
    """How a video resembles another: what is overlooked where one is taken for the other.

    Args:
        kind: kind of the error, such as 'reversed twin'.
        detail: what the two differ in, such as 'circle / cross'; empty: the kind says it all.
    """

    kind: str
    detail: str = ''


Relations = Mapping[int, Mapping[int, Relation]]
"""By the row of a video, the rows of those that resemble it."""


@dataclass(frozen=True)
class KindCount:
    """Errors of one kind: another video than the right one comes first.

    Args:
        kind: the kind.
        before: errors of the similarity.
        after: errors of the final ranking.
        mended: errors of the similarity, of this kind, whose query is right in the end.
        made: errors of the final ranking, of this kind, whose query was right before.
    """

    kind: str
    before: int
    after: int
    mended: int
    made: int


@dataclass(frozen=True)
class RelationCount:
    """How often one relation is told apart; guessing gives half.

    Args:
        relation: what the two videos are to each other.
        pairs: number of (query, video) pairs where the video has this relation to the right one.
        before: pairs in which the similarity does not score the right one higher.
        after: those of the final ranking.
    """

    relation: Relation
    pairs: int
    before: int
    after: int


class Confusions:
    """What a split's queries of one direction find in place of the right video.

    Args:
        own: video of each query, [Q], int64.
        relations: the relations of the videos.
        unrelated: kind of an error that finds a video without relation to the right one.
        before: what `best_scores` makes of the similarity.
        after: what it makes of the final scores.
    """

    def __init__(
        self,
        own: Tensor,
        relations: Relations,
        unrelated: str,
        before: tuple[Tensor, Tensor],
        after: tuple[Tensor, Tensor],
    ) -> None:
        self.own = own.tolist()
        self.relations = relations
        self.unrelated = unrelated
        self.before = before
        self.after = after

    def kinds(self) -> list[KindCount]:
        """Count the errors of each kind, the most frequent of the similarity first."""
        found: dict[str, Counter[str]] = {
            name: Counter() for name in ('before', 'after', 'mended', 'made')
        }
        for old, new in zip(self._errors(self.before), self._errors(self.after), strict=True):
            found['before'][old] += 1
            found['after'][new] += 1
            found['mended'][old] += new == ''
            found['made'][new] += old == ''
        named = {
            relation.kind for others in self.relations.values() for relation in others.values()
        }
        kinds = sorted(named | {self.unrelated}, key=lambda kind: (-found['before'][kind], kind))
        return [KindCount(kind, **{name: found[name][kind] for name in found}) for kind in kinds]

    def told_apart(self) -> list[RelationCount]:
        """Count what is told apart, by relation, the worst of the similarity first."""
        pairs: Counter[Relation] = Counter()
        wrong: tuple[Counter[Relation], ...] = Counter(), Counter()
        for query, video, relation in self._related():
            if self.before[1][query, video] == float('-inf'):
                continue  # that video is right as well
            pairs[relation] += 1
            for count, (right, others) in zip(wrong, (self.before, self.after), strict=True):
                count[relation] += bool(others[query, video] >= right[query])
        rows = [RelationCount(one, n, wrong[0][one], wrong[1][one]) for one, n in pairs.items()]
        return sorted(rows, key=lambda row: (-row.before / row.pairs, row.relation.kind))

    def _errors(self, scores: tuple[Tensor, Tensor]) -> Iterator[str]:
        """The kind of each query's error; empty where the query is right."""
        right, others = scores
        best, taken = others.max(dim=1)
        wrong = (best >= right).tolist()
        for own, is_wrong, video in zip(self.own, wrong, taken.tolist(), strict=True):
            relation = self.relations.get(own, {}).get(video)
            kind = self.unrelated if relation is None else relation.kind
            yield kind if is_wrong else ''

    def _related(self) -> Iterator[tuple[int, int, Relation]]:
        for query, own in enumerate(self.own):
            for video, relation in self.relations.get(own, {}).items():
                yield query, video, relation


def best_scores(
    scores: Tensor, right: Tensor, video_of_candidate: Tensor, num_videos: int
) -> tuple[Tensor, Tensor]:
    """Find what the right candidates score, and the wrong ones of each video.

    Args:
        scores: score of every candidate for every query, [Q, C], on the CPU.
        right: which candidates are right, [Q, C], bool, at least one per query.
        video_of_candidate: the video that each candidate is or describes, [C], int64.
        num_videos: number M of videos.

    Returns:
        The best score of the right candidates, [Q], and of the wrong ones of each video, [Q, M],
        -inf where it has none.
    """
    scores, lowest = scores.float(), float('-inf')
    own = scores.masked_fill(~right, lowest).amax(dim=1)
    wrong = scores.masked_fill(right, lowest)
    column = video_of_candidate.expand(len(scores), -1)
    others = torch.full((len(scores), num_videos), lowest)
    return own, others.scatter_reduce(1, column, wrong, 'amax')
