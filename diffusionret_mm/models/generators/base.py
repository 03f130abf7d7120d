"""What a retriever wants of a model that re-ranks candidates."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

from mmengine.model import BaseModule
from torch import Tensor

from diffusionret_mm.structures import TextFeatures, VideoFeatures

DIRECTIONS = ('t2v', 'v2t')


@dataclass(frozen=True)
class CandidateRows:
    """Training rows in one direction: n queries, each with K candidates.

    Args:
        texts: the texts that rows are made of.
        videos: the videos that rows are made of.
        text_rows: rows of `texts`: the queries [n, 1] in direction t2v, the candidates [n, K] in
            v2t; int64.
        video_rows: rows of `videos`: the candidates [n, K] in t2v, the queries [n, 1] in v2t.
        scores: similarities of the queries and their candidates, [n, K].
        positive: which candidates are right, [n, K], bool, at least one per row.
    """

    texts: TextFeatures
    videos: VideoFeatures
    text_rows: Tensor
    video_rows: Tensor
    scores: Tensor
    positive: Tensor


class CandidateContext(Protocol):
    """n queries with K candidates each, as a generator reads them."""

    @property
    def like(self) -> Tensor:
        """A tensor [n, K] of the device and dtype that noise for these rows must have."""


class CandidateSampler(Protocol):
    """Draws from a generator, for queries whose candidates are chosen from one set."""

    def sample(
        self,
        queries: TextFeatures | VideoFeatures,
        chosen: Tensor,
        scores: Tensor,
        noise: Tensor,
        return_trajectory: bool = False,
    ) -> Tensor:
        """Draw x_0, whose softmax is a distribution over the candidates of each query.

        Args:
            queries: the n queries.
            chosen: rows of the K candidates of each query, shape [n, K], int64.
            scores: their similarities, shape [n, K].
            noise: start noise x_T of some draws, shape [draws, n, K].
            return_trajectory: whether to return the states between, too.

        Returns:
            x_0, shape [draws, n, K]; with `return_trajectory` all states [draws, steps, n, K], x_0
            last.
        """


class CandidateGenerator(BaseModule):
    """Models p(candidates, query) in one direction; `GeneratedReRanking` has one per direction.

    Args:
        direction: 't2v' (texts rank videos) or 'v2t' (videos rank texts).

    Raises:
        ValueError: if it is neither.
    """

    num_train_steps: int = 0
    """Number T of diffusion steps; 0: the model diffuses nothing, and no noise is drawn for it."""

    negatives: tuple[str, ...] = ('sampled_gallery',)
    """Where negatives may come from; see `DiffusionRet`."""

    keeps_num_candidates: bool = False
    """Whether a checkpoint is for the number of candidates that it was trained with, because they
    attend to each other. Published generators attend among candidates too, but are trained on a
    batch and re-rank another number; they are not bound."""

    def __init__(self, direction: str) -> None:
        super().__init__()
        if direction not in DIRECTIONS:
            raise ValueError(f'direction must be one of {DIRECTIONS}; got {direction!r}.')
        self.direction = direction

    @abstractmethod
    def sampler(
        self, candidates: VideoFeatures | TextFeatures, num_pairs: int = 0
    ) -> CandidateSampler:
        """Compute what all queries share.

        Args:
            candidates: all of them: videos in direction t2v, texts in v2t. They and the queries may
                lie on another device than the model and have half precision.
            num_pairs: number of (query, candidate) pairs to come.
        """

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor | None:
        """Return how much each text attends to the frames of its video, for pictures.

        Args:
            texts: n texts.
            videos: n videos.

        Returns:
            Weights [n, F]; None if the model pools no frames.
        """
        return None

    @abstractmethod
    def training_context(self, rows: CandidateRows) -> CandidateContext:
        """Prepare training rows for `forward`."""

    @abstractmethod
    def forward(
        self,
        context: CandidateContext,
        t: Tensor | None,
        noise: Tensor | None,
        positive: Tensor | None = None,
    ) -> Tensor:
        """Training pass.

        Args:
            context: what `training_context` returned for n rows.
            t: diffusion step of each row, shape [n], int64; None if `num_train_steps` is 0.
            noise: standard normal, shape [n, K]; None, too.
            positive: which candidates are right, [n, K], bool; None: the first of each row.

        Returns:
            The prediction of x_0, shape [n, K]; `GenerationKLLoss` takes it.
        """
