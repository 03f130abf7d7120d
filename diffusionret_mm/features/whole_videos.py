"""The training set as a cache sees it: each video with all its captions."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from diffusionret_mm.datasets.text_video import TextVideoDataset

ADVICE = (
    'A feature cache holds one draw for all epochs. Let the cached pass draw nothing: '
    "dict(type='FeatureCacheHook', pipeline='val_dataloader'), hold several draws by views=4, or "
    'train without that hook.'
)


class WholeVideos(Dataset[dict[str, Any] | None]):
    """The videos of a training set with all their captions.

    Args:
        dataset: the training set, whose items are videos or captions.
        pipeline: transforms of a video; None takes the training set's own.
        view: number of the draw of random transforms, which depends on it and the video alone; None
            allows no random draws.

    Raises:
        TypeError: if the data set is of another class.
    """

    def __init__(
        self,
        dataset: TextVideoDataset,
        pipeline: Callable[..., Any] | None = None,
        view: int | None = None,
    ) -> None:
        if not isinstance(dataset, TextVideoDataset):
            raise TypeError(
                'A feature cache is made of a TextVideoDataset or one that derives from it; the '
                f'training set is a {type(dataset).__name__}.'
            )
        self._reader = copy.copy(dataset)
        if pipeline is not None:
            self._reader.pipeline = pipeline
        self.entries = _entries_by_video(dataset)
        self.view = view

    @property
    def num_captions(self) -> int:
        """Number of captions of all videos."""
        return sum(len(entry['captions']) for entry in self.entries)

    def imported_scores(self) -> tuple[Tensor, Tensor]:
        """Return the scores of another program; see `TextVideoDataset.imported_scores`."""
        return self._reader.imported_scores()

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.entries)

    def __getitem__(self, index: int) -> dict[str, Any] | None:
        """Run the pipeline on a video; None if it cannot be read and is to be skipped.

        Raises:
            ValueError: if a transform of this package draws at random and must not.
        """
        seed = _NoSeed() if self.view is None else (0, self.view, index)
        all_captions = dict(item_seed=seed, captions_per_video=None)
        entry = copy.deepcopy(self.entries[index]) | all_captions
        item: dict[str, Any] | None = self._reader.run_pipeline(entry)
        return item

    def as_view(self, view: int) -> WholeVideos:
        """Return the same videos in another draw of the random transforms."""
        other = copy.copy(self)
        other.view = view
        return other

    def refuse_random(self) -> None:
        """Run the pipeline on the first readable video and see whether it draws at random.

        Raises:
            ValueError: if it does.
        """
        before = _global_states()
        next((item for item in map(self.__getitem__, range(len(self))) if item is not None), None)
        if _global_states() != before:
            raise ValueError(f'The training pipeline draws at random. {ADVICE}')


class _NoSeed:
    """Stands where a random transform looks for its seed."""

    def __iter__(self) -> Iterator[int]:
        raise ValueError(f'A transform of the training pipeline draws at random. {ADVICE}')


def _global_states() -> tuple[Any, ...]:
    """States of the generators that transforms of other packages draw from."""
    state = np.random.get_state(legacy=False)
    of_numpy = {**state, 'state': {**state['state'], 'key': state['state']['key'].tobytes()}}
    return random.getstate(), of_numpy, torch.get_rng_state().tolist()


def _entries_by_video(dataset: TextVideoDataset) -> list[dict[str, Any]]:
    """Join items of one video, in the order of the videos."""
    entries: dict[int, dict[str, Any]] = {}
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        entry = entries.setdefault(info['video_index'], dict(info, captions=[]))
        entry['captions'].extend(info['captions'])
    return [entries[number] for number in sorted(entries)]
