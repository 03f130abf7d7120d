"""Random galleries of the training set, from a feature cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from diffusionret_mm.features.store import FeatureStore
from diffusionret_mm.models.retrievers.sampled_gallery import SampledGallery

# Part of the seeds of an item; captions, frames and augmentation have others.
DRAW = 4


class GallerySampler:
    """Draws galleries; clips of one group are in a gallery together.

    Args:
        store: features of the training set.
        groups: number of the group of each of its M videos, shape [M], int64.
        sizes: numbers of videos; each gallery has one of them, drawn at random. Groups are whole,
            so a gallery has a few more.
    """

    def __init__(self, store: FeatureStore, groups: np.ndarray, sizes: Sequence[int]) -> None:
        self.store = store
        self.groups = groups
        self.sizes = np.asarray(sizes)
        self._size_of_group = np.bincount(groups)

    def draw(
        self,
        seed: Sequence[int],
        own_videos: np.ndarray,
        own_texts: np.ndarray,
        view: int = 0,
    ) -> SampledGallery:
        """Draw a gallery around the videos of a batch.

        Args:
            seed: numbers that the draw depends on.
            own_videos: rows of the batch's videos in the store, with their groups in the gallery.
            own_texts: rows of its N texts.
            view: number of the view of the videos.

        Returns:
            The gallery.
        """
        rng = np.random.default_rng([*seed, DRAW])
        first = np.unique(self.groups[own_videos])
        others = np.setdiff1d(np.arange(len(self._size_of_group)), first)
        order = np.concatenate([first, rng.permutation(others)])
        count = np.searchsorted(np.cumsum(self._size_of_group[order]), rng.choice(self.sizes)) + 1
        chosen = order[: max(count, len(first))]
        videos = np.flatnonzero(np.isin(self.groups, chosen))
        texts = np.flatnonzero(np.isin(self.store.video_of_text, videos))
        return SampledGallery(
            texts=self.store.texts(texts),
            videos=self.store.videos(videos, view),
            video_of_text=torch.from_numpy(
                np.searchsorted(videos, self.store.video_of_text[texts])
            ),
            own_text=torch.from_numpy(np.searchsorted(texts, own_texts)),
        )
