"""All features of a split, each video and each text encoded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object
from torch import Tensor

from diffusionret_mm.evaluation.several_answers import right_answers
from diffusionret_mm.features.scoring import concat_ranks
from diffusionret_mm.structures import FeaturesT, TextFeatures, VideoFeatures


@dataclass(frozen=True)
class EncodedSplit:
    """Features of a split and their ground truth.

    Args:
        texts: N texts, grouped by video.
        videos: M videos in the order of the data set.
        video_of_text: row of each text's video, shape [N], int64.
        video_ids: names of the videos, M.
        captions: the texts, N.
        answers: rows of all videos that each text fits, N lists; None if each fits its own only.
    """

    texts: TextFeatures
    videos: VideoFeatures
    video_of_text: Tensor
    video_ids: list[str]
    captions: list[str]
    answers: list[list[int]] | None = None

    def is_right(self, direction: str) -> Tensor:
        """Tell which candidates are right for each query.

        Args:
            direction: 't2v' or 'v2t'.

        Returns:
            [N, M] or [M, N], bool.
        """
        right = self.video_of_text[:, None] == torch.arange(len(self.video_ids))
        if self.answers is not None:
            right = right_answers(self.answers, len(self.video_ids))
        return right if direction == 't2v' else right.t()

    def sides(
        self, direction: str
    ) -> tuple[TextFeatures | VideoFeatures, VideoFeatures | TextFeatures]:
        """Return the features of queries and of candidates.

        Args:
            direction: 't2v' or 'v2t'.
        """
        return (self.texts, self.videos) if direction == 't2v' else (self.videos, self.texts)

    @property
    def num_bytes(self) -> int:
        """Size of the features in bytes."""
        features = (*self.texts.tensors().values(), *self.videos.tensors().values())
        return sum(value.numel() * value.element_size() for value in features)


@dataclass(frozen=True)
class ScoredSplit:
    """A split with the matrices that are ranked.

    Args:
        split: N texts and M videos.
        similarity: scores before re-ranking, [N, M].
        t2v: final scores of the videos for each text, [N, M].
        v2t: final scores of the texts for each video, [M, N].
        similarity_v2t: scores of the texts for each video before re-ranking, [M, N], if they are
            not those of `similarity`.
    """

    split: EncodedSplit
    similarity: Tensor
    t2v: Tensor
    v2t: Tensor
    similarity_v2t: Tensor | None = None

    def before(self, direction: str) -> Tensor:
        """Return the scores before re-ranking, a row per query of 't2v' or 'v2t'."""
        if direction == 't2v':
            return self.similarity
        return self.similarity.t() if self.similarity_v2t is None else self.similarity_v2t


class FeatureCollector:
    """Collects the features of batches, then joins them over batches and processes.

    Args:
        dtype: dtype of the features that are kept.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.samples: list[Any] = []
        self._texts: list[TextFeatures] = []
        self._videos: list[VideoFeatures] = []

    def add(self, texts: TextFeatures, videos: VideoFeatures, samples: Iterable[Any]) -> None:
        """Add a batch: its features and the data samples of its videos."""
        self.samples.extend(samples)
        self._keep(texts.to(self.dtype), videos.to(self.dtype))

    def join(self) -> EncodedSplit:
        """Join everything, in the order of the data set, each video once.

        Samplers repeat videos to give every process equally many; repetitions are dropped. The
        result is the same on every process, whatever their number and the batch size.

        Raises:
            RuntimeError: if nothing was added.
        """
        if not self.samples:
            raise RuntimeError('The evaluation data loader gave no video.')
        samples = [sample for part in all_gather_object(self.samples) for sample in part]
        order, row_texts = _dataset_order(samples)
        text_rows = torch.from_numpy(np.concatenate([row_texts[row] for row in order]))
        counts = torch.tensor([len(row_texts[row]) for row in order])
        texts, videos = self._select(text_rows, torch.tensor(order))
        return EncodedSplit(
            texts=texts,
            videos=videos,
            video_of_text=torch.repeat_interleave(torch.arange(len(order)), counts),
            video_ids=[samples[row].video_id for row in order],
            captions=[caption for row in order for caption in samples[row].captions],
            answers=_answers([samples[row] for row in order]),
        )

    def _keep(self, texts: TextFeatures, videos: VideoFeatures) -> None:
        self._texts.append(texts)
        self._videos.append(videos)

    def _select(self, text_rows: Tensor, video_rows: Tensor) -> tuple[TextFeatures, VideoFeatures]:
        """Rows of what all processes kept, one process after another."""
        texts, self._texts = _concat(TextFeatures.cat(self._texts)), []
        videos, self._videos = _concat(VideoFeatures.cat(self._videos)), []
        return _in_order(texts, text_rows), _in_order(videos, video_rows)


def _dataset_order(samples: list[Any]) -> tuple[list[int], list[np.ndarray]]:
    """Rows of the distinct videos by their place in the data set, and the texts of each row."""
    place = np.array([sample.video_index for sample in samples])
    counts = [len(sample.captions) for sample in samples]
    row_texts = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    _, first = np.unique(place, return_index=True)
    return first.tolist(), row_texts


def _answers(samples: Sequence[Any]) -> list[list[int]] | None:
    """Rows of the videos that each text fits, if the annotation says so."""
    if any(sample.get('answers') is None for sample in samples):
        return None
    rows = {sample.video_id: row for row, sample in enumerate(samples)}
    return [[rows[video] for video in fitting] for sample in samples for fitting in sample.answers]


def _concat(features: FeaturesT) -> FeaturesT:
    return type(features)(
        **{name: concat_ranks([value]) for name, value in features.tensors().items()}
    )


def _in_order(features: FeaturesT, rows: Tensor) -> FeaturesT:
    """Select rows; all of them in their order are not copied."""
    in_order = len(rows) == len(features) and torch.equal(rows, torch.arange(len(rows)))
    return features if in_order else features[rows]
