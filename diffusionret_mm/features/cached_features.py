"""The training set as features: the same items and captions, nothing to encode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch.utils.data import DataLoader, Dataset

from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.transforms.captions import draw_captions
from diffusionret_mm.features.gallery_sampling import GallerySampler
from diffusionret_mm.features.store import FeatureStore
from diffusionret_mm.models.retrievers.hard_negatives import CachedNegatives

# Part of the seed of a batch, which is that of its first item.
VIEW = 5


class CachedFeatures(Dataset[dict[str, Any]]):
    """Items of a training set, read from a cache a batch at a time.

    Captions are drawn from the same seeds as the training set draws them, and an unreadable video
    is replaced by the same next one. Of several views of the videos each batch has one.

    Args:
        dataset: the training set.
        store: its features.
        gallery_sizes: numbers of videos of the galleries that batches come with; empty: without.
    """

    def __init__(
        self, dataset: TextVideoDataset, store: FeatureStore, gallery_sizes: Sequence[int] = ()
    ) -> None:
        self.dataset = dataset
        self.store = store
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        self._item_index = np.array([info['item_index'] for info in infos])
        video_index = np.array([info['video_index'] for info in infos])
        self._first, self._count = self._texts_of_items(
            video_index, np.array([len(info['captions']) for info in infos])
        )
        readable = np.flatnonzero(np.isin(video_index, store.video_index))
        # The last items may be unreadable; then the first readable one takes their place.
        following = np.searchsorted(readable, np.arange(len(infos)))
        self._item = readable[following % len(readable)]
        self._row = np.searchsorted(store.video_index, video_index)
        self._galleries = None
        if gallery_sizes:
            self._galleries = GallerySampler(store, self._groups_of_videos(), gallery_sizes)

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self.dataset)

    def __getitems__(self, indices: Sequence[int]) -> dict[str, Any]:
        """Make a batch; torch's loaders prefer this to item by item.

        Args:
            indices: numbers of B items.

        Returns:
            `inputs` with `texts` (N TextFeatures), `videos` (B VideoFeatures), video_of_text [N]
            and video_index [B], int64, `negatives` (CachedNegatives) if the cache has some, and
            `sampled_gallery` (SampledGallery) if there are to be galleries;
            `data_samples`, whose metainfo names the videos and their captions.
        """
        items = self._item[np.asarray(indices)]
        rows = self._row[items]
        seed = self.dataset.item_seed(int(self._item_index[items[0]]))
        view = int(np.random.default_rng([*seed, VIEW]).integers(self.store.num_views))
        drawn = [self._draw(item) for item in items]
        texts = np.concatenate(drawn)
        inputs = dict(
            texts=self.store.texts(texts),
            videos=self.store.videos(rows, view),
            video_of_text=torch.from_numpy(np.repeat(np.arange(len(rows)), [*map(len, drawn)])),
            video_index=torch.from_numpy(self.store.video_index[rows]),
        )
        if 'negative_videos' in self.store.arrays:
            inputs['negatives'] = self._negatives(texts)
        if self._galleries is not None:
            inputs['sampled_gallery'] = self._galleries.draw(seed, rows, texts, view)
        samples = [
            self._sample(item, captions - self._first[item])
            for item, captions in zip(items, drawn, strict=True)
        ]
        return dict(inputs=inputs, data_samples=samples)

    def _groups_of_videos(self) -> np.ndarray:
        """Number of the group of each video of the store."""
        names: dict[int, str] = {}
        for item, row in enumerate(self._row):
            names.setdefault(int(row), self.dataset.group_of(item))
        groups = [names[row] for row in range(self.store.num_videos)]
        return np.unique(groups, return_inverse=True)[1]

    def _texts_of_items(
        self, video_index: np.ndarray, num_captions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """First text and number of texts of each item; items of a video share its texts in turn."""
        behind = np.zeros(max(video_index.max(), self.store.video_index.max()) + 1, dtype=np.int64)
        behind[self.store.video_index] = self.store.first_text
        first = np.empty(len(video_index), dtype=np.int64)
        for item, (video, count) in enumerate(zip(video_index, num_captions, strict=True)):
            first[item] = behind[video]
            behind[video] += count
        return first, num_captions

    def _draw(self, item: int) -> np.ndarray:
        """Rows of the texts that an item takes in this epoch."""
        first, count, wanted = self._first[item], self._count[item], self.dataset.captions_per_video
        if wanted is None:
            return np.arange(first, first + count)
        seed = self.dataset.item_seed(int(self._item_index[item]))
        rows: np.ndarray = first + draw_captions(int(count), wanted, seed)
        return rows

    def _sample(self, item: int, captions: np.ndarray) -> BaseDataElement:
        info = self.dataset.get_data_info(int(item))
        names = {
            key: info[key]
            for key in ('video_id', 'filename', 'group', 'video_index')
            if key in info
        }
        names['captions'] = [info['captions'][number] for number in captions]
        return BaseDataElement(metainfo=names)

    def _negatives(self, texts: np.ndarray) -> CachedNegatives:
        """Negatives of each text's row: videos for the text, texts for its video."""
        arrays = self.store.arrays
        videos, video_rows = _distinct(arrays['negative_videos'][texts])
        pooled, text_rows = _distinct(arrays['negative_texts'][self.store.video_of_text[texts]])
        return CachedNegatives(
            videos=self.store.videos(videos),
            video_rows=video_rows,
            texts=self.store.pooled(pooled),
            text_rows=text_rows,
        )


def cached_loader(
    loader: DataLoader[Any], store: FeatureStore, gallery_sizes: Sequence[int] = ()
) -> DataLoader[Any]:
    """Make a loader that gives the features of what another loader gives.

    It shares the other's sampler, so order, epochs and share of the process are the same. It also
    draws from torch's global random state when the other would: a loader without persistent workers
    draws a seed each epoch.

    Args:
        loader: the training loader.
        store: features of its data set.
        gallery_sizes: see `CachedFeatures`.

    Returns:
        The loader; its batches are those of `CachedFeatures`.
    """
    return DataLoader(
        CachedFeatures(cast(TextVideoDataset, loader.dataset), store, gallery_sizes),
        batch_sampler=loader.batch_sampler,
        collate_fn=_as_it_is,
        generator=torch.Generator() if loader.persistent_workers else None,
    )


def _as_it_is(batch: Any) -> Any:
    return batch


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """Distinct entries of a matrix, and where each entry of it stands among them."""
    distinct, places = np.unique(rows, return_inverse=True)
    return distinct, torch.from_numpy(places.reshape(rows.shape))
