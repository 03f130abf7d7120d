"""The pictures of an evaluated split, each by the rows of its queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.evaluation.confusions import Confusions, best_scores
from diffusionret_mm.evaluation.ranking import Ranks, grouped_query_ranks, query_ranks
from diffusionret_mm.evaluation.several_answers import right_answers
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.visualization.attention import draw_attention
from diffusionret_mm.visualization.diffusion import DiffusionProcess, draw_diffusion
from diffusionret_mm.visualization.errors import ErrorTables
from diffusionret_mm.visualization.explain import (
    PictureError,
    frame_attention,
    match_words,
    trace_diffusion,
)
from diffusionret_mm.visualization.recall import draw_recall
from diffusionret_mm.visualization.retrieval import RankedVideo, draw_retrieval
from diffusionret_mm.visualization.samples import Sample
from diffusionret_mm.visualization.similarity import draw_similarity

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mmengine.runner import Runner

    from diffusionret_mm.features.encoding import ScoredSplit


class SplitPictures:
    """Draws what a model made of a split.

    A query is the row of a text in direction t2v and of a video in v2t; rows count from 0 in the
    order of the data set.

    Args:
        model: the retriever.
        dataset: the data set of the split, for the pixels.
        scored: features and scores of the split.
    """

    def __init__(self, model: TextVideoRetriever, dataset: Any, scored: ScoredSplit) -> None:
        self.model = model
        self.dataset = dataset
        self.scored = scored
        self.split = scored.split
        self.video_of_text = self.split.video_of_text.to(scored.t2v.device)

    @classmethod
    def of_test(cls, runner: Runner) -> SplitPictures:
        """Make those of a test that is over; for hooks, in `after_test_epoch`."""
        loop = runner.test_loop
        model = TextVideoRetriever.of(runner.model)
        return cls(model, loop.dataloader.dataset, loop.scored)

    def ranks(self) -> dict[tuple[str, str], Ranks]:
        """Return the ranks of all queries by (ranking, direction); the final ranking is ''."""
        scored = self.scored
        return {
            ('discrimination', 't2v'): query_ranks(scored.before('t2v'), self.video_of_text),
            ('', 't2v'): query_ranks(scored.t2v, self.video_of_text),
            ('discrimination', 'v2t'): grouped_query_ranks(
                scored.before('v2t'), self.video_of_text
            ),
            ('', 'v2t'): grouped_query_ranks(scored.v2t, self.video_of_text),
        }

    def hardest_texts(self, count: int) -> list[int]:
        """Return the texts of the worst final rank, the worst first, equal ones by their row.

        Texts whose video is found first are no failures and are left out.
        """
        rank = query_ranks(self.scored.t2v, self.video_of_text).average
        order = rank.argsort(descending=True, stable=True)[:count]
        return [row for row in order.tolist() if rank[row] > 1]

    def errors(self) -> ErrorTables:
        """Count what is found in place of the right videos, by the relations of the data set."""
        rows = {name: row for row, name in enumerate(self.split.video_ids)}
        relations = {
            rows[own]: {rows[name]: one for name, one in others.items() if name in rows}
            for own, others in self.dataset.relatives().items()
            if own in rows
        }
        scored, described = self.scored, self.split.video_of_text
        count = len(rows)
        right = right_answers(self.split.answers or described[:, None].tolist(), count)
        found = {}
        for direction, after, of_query, of_candidate, fits in (
            ('t2v', scored.t2v, described, torch.arange(count), right),
            ('v2t', scored.v2t, torch.arange(count), described, right.t()),
        ):
            scores = [
                best_scores(matrix.cpu(), fits, of_candidate, count)
                for matrix in (scored.before(direction), after)
            ]
            found[direction] = Confusions(of_query, relations, self.dataset.unrelated, *scores)
        return ErrorTables(found, any(map(self.model.num_candidates, found)))

    def diffusion(self, queries: Sequence[int], direction: str = 't2v') -> Figure:
        """Draw the diffusion process of some queries.

        Raises:
            PictureError: if the model has none, or there is no such query.
        """
        of_texts = direction == 't2v'
        rows = self._rows(queries, direction)
        sides: list[Any] = [self.split.texts, self.split.videos]
        own, others = sides if of_texts else sides[::-1]
        scores = self.scored.before(direction)
        trace = trace_diffusion(
            self.model, direction, scores[rows.to(scores.device)], own[rows], others, rows
        )
        best, states = trace.best.cpu().numpy(), trace.states.float().cpu().numpy()
        ranks = self.ranks()
        names = self.split.captions if of_texts else self.split.video_ids
        video_of_text = self.split.video_of_text.numpy()
        return draw_diffusion(
            [
                DiffusionProcess(
                    query=names[row],
                    states=states[:, number],
                    times=trace.times,
                    is_truth=(
                        best[number] == video_of_text[row]
                        if of_texts
                        else video_of_text[best[number]] == row
                    ),
                    rank_before=ranks['discrimination', direction].average[row].item(),
                    rank_after=ranks['', direction].average[row].item(),
                )
                for number, row in enumerate(rows.tolist())
            ]
        )

    def attention(self, query: int) -> Figure:
        """Draw what a text reads in its video.

        Raises:
            PictureError: if the model weighs no frames, there is no such text, or the data set has
                no frames.
        """
        rows = self._rows([query], 't2v')
        own = self.split.video_of_text[rows]
        text, features = self.split.texts[rows], self.split.videos[own]
        frames = self.frames(int(own))
        caption = self.split.captions[query]
        weights = frame_attention(self.model, text, features)
        match = match_words(self.model, caption, text, features)
        if weights is None and match is None:
            raise PictureError(
                f'{type(self.model).__name__} with '
                f'{type(self.model.similarity).__name__} weighs no frames by a text.'
            )
        shown = None
        if weights is not None:
            shown = weights[0, features.mask[0].to(weights.device)].cpu().numpy()
        return draw_attention(caption, frames, shown, match)

    def retrieval(self, query: int, top_k: int = 5) -> Figure:
        """Draw the best candidates of a text, and the right one below if it is not among them.

        Raises:
            PictureError: if there is no such text, or the data set has no frames.
        """
        row = int(self._rows([query], 't2v'))
        before, after = self.scored.similarity[row], self.scored.t2v[row]
        truth = int(self.video_of_text[row])
        best = after.argsort(descending=True, stable=True)[:top_k].tolist()
        shown = torch.tensor(best if truth in best else [*best, truth], device=after.device)
        ranks = [
            query_ranks(scores.expand(len(shown), -1), shown).average.tolist()
            for scores in (before, after)
        ]
        return draw_retrieval(
            self.split.captions[row],
            [
                RankedVideo(
                    video_id=self.split.video_ids[video],
                    frames=self.frames(video),
                    similarity=before[video].item(),
                    score=after[video].item(),
                    rank_before=rank_before,
                    rank_after=rank_after,
                    is_truth=video == truth,
                )
                for video, rank_before, rank_after in zip(shown.tolist(), *ranks, strict=True)
            ],
        )

    def similarity(self) -> Figure:
        """Draw the similarity matrix."""
        scores = self.scored.similarity.float().cpu().numpy()
        return draw_similarity(scores, self.split.video_of_text.numpy())

    def recall(self) -> Figure:
        """Draw the recall curves."""
        return draw_recall(self.ranks(), len(self.split.videos))

    def frames(self, video: int) -> np.ndarray:
        """Return the real frames of a video as the model gets them, RGB, [F, H, W, 3], uint8.

        Raises:
            PictureError: if the data set has no frames.
            RuntimeError: if it has another video at this row.
        """
        return read_sample(self.dataset, video, self.split.video_ids[video]).frames

    def _rows(self, queries: Sequence[int], direction: str) -> Tensor:
        count = len(self.split.captions if direction == 't2v' else self.split.video_ids)
        kind = 'texts' if direction == 't2v' else 'videos'
        for query in queries:
            if not 0 <= query < count:
                raise PictureError(f'There is no query {query}: the split has {count} {kind}.')
        return torch.tensor(list(queries))


def read_sample(dataset: Any, row: int, video_id: str | None = None) -> Sample:
    """Read a video of a data set through its pipeline.

    Args:
        dataset: a `TextVideoDataset`.
        row: number of the item.
        video_id: the video that is expected there; None expects any.

    Returns:
        Its frames as the model gets them, and captions.

    Raises:
        PictureError: if the data set has features in place of frames.
        RuntimeError: if there is another video.
    """
    if not dataset.has_frames:
        raise PictureError(
            f'{dataset.ann_file} lists imported features; what shows frames needs the videos.'
        )
    packed = dataset[row]
    info, inputs = packed['data_samples'], packed['inputs']
    if video_id not in (None, info.video_id):
        raise RuntimeError(
            f'Item {row} of the data set is the video {info.video_id!r}; {video_id!r} was expected.'
        )
    frames = inputs['frames'][inputs['frame_mask']].permute(0, 2, 3, 1).numpy()
    return Sample(info.video_id, frames, info.captions)
