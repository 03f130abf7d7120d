"""All features of a split, each video and each text encoded once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from mmengine.dist import all_gather_object
from torch import Tensor

from diffusionret_mm.engine.scoring import concat_ranks
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@dataclass(frozen=True)
class EncodedSplit:
    """Features of a split and their ground truth.

    Args:
        texts: N texts, grouped by video.
        videos: M videos in the order of the data set.
        video_of_text: row of each text's video, shape [N], int64.
        video_ids: names of the videos, M.
        captions: the texts, N.
    """

    texts: TextFeatures
    videos: VideoFeatures
    video_of_text: Tensor
    video_ids: list[str]
    captions: list[str]


@dataclass
class FeatureCollector:
    """Collects the features of batches, then joins them over batches and processes."""

    texts: list[TextFeatures] = field(default_factory=list)
    videos: list[VideoFeatures] = field(default_factory=list)
    samples: list = field(default_factory=list)

    def add(self, texts: TextFeatures, videos: VideoFeatures, samples: Iterable) -> None:
        """Add a batch: its features and the data samples of its videos."""
        self.texts.append(texts)
        self.videos.append(videos)
        self.samples.extend(samples)

    def join(self) -> EncodedSplit:
        """Join everything, in the order of the data set, each video once.

        Samplers repeat videos to give every process equally many; repetitions are dropped. The
        result is the same on every process, whatever their number and the batch size.

        Raises:
            RuntimeError: if nothing was added.
        """
        if not self.samples:
            raise RuntimeError('The evaluation data loader gave no video.')
        texts = _concat(TextFeatures.cat(self.texts))
        videos = _concat(VideoFeatures.cat(self.videos))
        samples = [sample for part in all_gather_object(self.samples) for sample in part]
        order, row_texts = _dataset_order(samples)
        text_rows = torch.from_numpy(np.concatenate([row_texts[row] for row in order]))
        counts = torch.tensor([len(row_texts[row]) for row in order])
        return EncodedSplit(
            texts=texts[text_rows],
            videos=videos[torch.tensor(order)],
            video_of_text=torch.repeat_interleave(torch.arange(len(order)), counts),
            video_ids=[samples[row].video_id for row in order],
            captions=[caption for row in order for caption in samples[row].captions],
        )


def _dataset_order(samples: list) -> tuple[list[int], list[np.ndarray]]:
    """Rows of the distinct videos by their place in the data set, and the texts of each row."""
    place = np.array([sample.video_index for sample in samples])
    counts = [len(sample.captions) for sample in samples]
    row_texts = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    _, first = np.unique(place, return_index=True)
    return first.tolist(), row_texts


def _concat(
    features: TextFeatures | VideoFeatures,
) -> TextFeatures | VideoFeatures:
    return type(features)(
        **{name: concat_ranks([value]) for name, value in features.tensors().items()}
    )
