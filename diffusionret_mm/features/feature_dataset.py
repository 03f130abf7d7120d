"""A data set of features: what `tools/import_features.py` wrote, in place of videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.structures import BaseDataElement
from torch import Tensor

from diffusionret_mm.datasets.annotation_files import read_list
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.splits import Split
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.transforms.captions import draw_captions
from diffusionret_mm.datasets.transforms.packing import META_KEYS
from diffusionret_mm.features.importing.scores import SCORES, SCORES_V2T
from diffusionret_mm.features.importing.writing import KIND, VIDEOS_FILE
from diffusionret_mm.features.store import MANIFEST, FeatureStore, defect


@DATASETS.register_module()
class FeatureDataset(TextVideoDataset):
    """Videos and captions whose features were imported; a model with `backbone=None` takes them.

    An item is a video with its captions, as in every other data set: `inputs` has frames [F, D]
    float32, frame_mask [F] bool, ids (`TextFeatures` of its C texts) and text_mask [C, L] bool.

    Args:
        data_root: folder that `tools/import_features.py` wrote.
        pipeline: empty, as there are no frames to transform.
        **kwargs: of `TextVideoDataset`.

    Raises:
        FileNotFoundError: if there is no such folder.
        AnnotationError: if it is another folder, or a damaged one.
        ValueError: if there is a pipeline.
    """

    required_keys = ('video_id', 'captions')
    public_name = ''
    splits: tuple[Split, ...] = ()
    has_frames = False

    def __init__(self, data_root: str, pipeline: Sequence[Any] = (), **kwargs: Any) -> None:
        if pipeline:
            raise ValueError(
                'A FeatureDataset has no frames and no words that transforms could change; give it '
                'pipeline=[].'
            )
        check_folder(Path(data_root))
        super().__init__(data_root, ann_file=VIDEOS_FILE, **kwargs)

    @classmethod
    def read_feature_width(cls, config: Mapping[str, Any]) -> int | None:
        """Return the width of the features; see `TextVideoDataset`.

        Raises:
            FileNotFoundError: if there is no such folder.
            AnnotationError: if it is another folder, or a damaged one.
        """
        root = Path(config['data_root'])
        check_folder(root)
        return int(FeatureStore.open(root).arrays['frames'].shape[2])

    @cached_property
    def store(self) -> FeatureStore:
        """The features."""
        return FeatureStore.open(Path(self.data_root))

    def read_entries(self) -> list[dict[str, Any]]:
        """Read ids and captions; `row` is the row of a video in the features.

        Raises:
            AnnotationError: if they are not those of the features.
        """
        entries = read_list(Path(self.ann_file))
        counts = [len(entry['captions']) for entry in entries]
        if counts != self.store.texts_of_video.tolist():
            raise AnnotationError(
                f'{self.ann_file} lists {len(counts):,} videos with {sum(counts):,} captions, and '
                f'the features beside it are of {self.store.num_videos:,} videos and '
                f'{self.store.num_texts:,} texts, or of others; import them again.'
            )
        return [dict(entry, row=row) for row, entry in enumerate(entries)]

    def find_videos(self, entries: list[dict[str, Any]]) -> Sequence[Path]:
        """Return the file that changes when the features do, for each video."""
        return [Path(self.data_root) / MANIFEST] * len(entries)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read the entries; `first_text` is the row of an item's first text in the features."""
        entries = super().load_data_list()
        following = self.store.first_text.copy()
        for entry in entries:
            entry['first_text'] = int(following[entry['row']])
            following[entry['row']] += len(entry['captions'])
        return entries

    def imported_scores(self) -> tuple[Tensor, Tensor]:
        """Return the scores that were imported; see `TextVideoDataset`."""
        arrays = self.store.arrays
        if SCORES not in arrays:
            return super().imported_scores()
        first, last = (self.get_data_info(number)['row'] for number in (0, len(self) - 1))
        behind = self.store.first_text[last] + self.store.texts_of_video[last]
        texts, videos = slice(self.store.first_text[first], behind), slice(first, last + 1)
        t2v = torch.from_numpy(arrays[SCORES])[texts, videos]
        if SCORES_V2T not in arrays:
            return t2v, t2v.t()
        return t2v, torch.from_numpy(arrays[SCORES_V2T])[videos, texts]

    def run_pipeline(self, info: dict[str, Any]) -> dict[str, Any]:
        """Return the features of an entry, of the captions that it draws if it draws some."""
        wanted, count = info['captions_per_video'], len(info['captions'])
        chosen = (
            np.arange(count) if wanted is None else draw_captions(count, wanted, info['item_seed'])
        )
        texts = self.store.texts(info['first_text'] + chosen)
        video = self.store.videos(np.array([info['row']]))
        names = {key: info[key] for key in META_KEYS if key in info}
        names['captions'] = [info['captions'][number] for number in chosen]
        inputs = dict(
            frames=video.frames[0], frame_mask=video.mask[0], ids=texts, text_mask=texts.mask
        )
        return dict(inputs=inputs, data_samples=BaseDataElement(metainfo=names))


def check_folder(root: Path) -> None:
    """Refuse a folder that `tools/import_features.py` did not write.

    Raises:
        FileNotFoundError: if there is none.
        AnnotationError: if it is another one, or a damaged one.
    """
    if not root.is_dir():
        raise FileNotFoundError(
            f'There is no folder {root} of imported features; make it by tools/import_features.py.'
        )
    if not (root / MANIFEST).is_file() or not (root / VIDEOS_FILE).is_file():
        raise AnnotationError(
            f'{root} is no folder of tools/import_features.py: it has no {MANIFEST} or no '
            f'{VIDEOS_FILE}.'
        )
    reason = defect(root, KIND)
    if reason is not None:
        raise AnnotationError(f'The features in {root} are damaged: {reason}; import them again.')
