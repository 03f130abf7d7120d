"""A random gallery of the training set, whose best candidates a training step re-ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from diffusionret_mm.models.generators import CandidateRows
from diffusionret_mm.structures import TextFeatures, VideoFeatures

Score = Callable[[TextFeatures, VideoFeatures], Tensor]


@dataclass(frozen=True)
class SampledGallery:
    """Some videos of the training set with all their captions, those of a batch among them.

    Args:
        texts: U texts.
        videos: V videos.
        video_of_text: row of each text's video, shape [U], int64.
        own_text: row of each of the batch's N texts, shape [N], int64.
    """

    texts: TextFeatures
    videos: VideoFeatures
    video_of_text: Tensor
    own_text: Tensor

    def to(self, device: Any) -> SampledGallery:
        """Move every field to a device."""
        return type(self)(**{name: value.to(device) for name, value in vars(self).items()})


@torch.no_grad()
def gallery_rows(
    gallery: SampledGallery, score: Score, num_candidates: Mapping[str, int]
) -> dict[str, CandidateRows]:
    """Rank a gallery as evaluation does, and make a training row of each query's best candidates.

    Each of the batch's N texts is a query in direction t2v, and its video one in v2t. A query's
    right candidate takes the last place if the similarity does not find it; of the captions of a
    video that is the one in the batch, and others are right where they are found.

    Args:
        gallery: the gallery.
        score: the similarity, [N] texts by [M] videos.
        num_candidates: candidates K of a row, by direction; at most as many as the gallery has.

    Returns:
        N rows of each direction.
    """
    own_text = gallery.own_text
    own_video = gallery.video_of_text[own_text]
    t2v = score(gallery.texts[own_text], gallery.videos)
    found = _best_with(t2v, own_video, num_candidates['t2v'])
    distinct, query = own_video.unique(return_inverse=True)
    v2t = score(gallery.texts, gallery.videos[distinct]).t()[query]
    texts = _best_with(v2t, own_text, num_candidates['v2t'])
    return dict(
        t2v=CandidateRows(
            gallery.texts,
            gallery.videos,
            text_rows=own_text[:, None],
            video_rows=found,
            scores=t2v.gather(1, found),
            positive=found == own_video[:, None],
        ),
        v2t=CandidateRows(
            gallery.texts,
            gallery.videos,
            text_rows=texts,
            video_rows=own_video[:, None],
            scores=v2t.gather(1, texts),
            positive=gallery.video_of_text[texts] == own_video[:, None],
        ),
    )


def _best_with(scores: Tensor, wanted: Tensor, num_candidates: int) -> Tensor:
    """Columns of the best candidates of each row, best first, the wanted one among them, [n, K]."""
    best = scores.topk(min(num_candidates, scores.shape[1]), dim=1).indices
    missing = ~(best == wanted[:, None]).any(dim=1)
    best[missing, -1] = wanted[missing]
    return best
