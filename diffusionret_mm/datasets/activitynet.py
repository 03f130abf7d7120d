"""ActivityNet Captions in the files that the field passes around."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.annotation_files import read_json, read_list
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.splits import Split


@DATASETS.register_module()
class ActivityNetCaptionsDataset(PublicDataset):
    """ActivityNet Captions: all sentences of a video are one paragraph, its only caption.

    Videos may be called `v_ID.mp4` or `ID.mp4`. The part that counts ends at the annotated
    duration, rounded up to a second.

    Args:
        data_root: folder that the other paths start from.
        ann_file: the list of ids: `train_ids.json` or `val_ids.json`.
        captions: the sentences: `train.json` or `val_1.json`.
        **kwargs: arguments of `PublicDataset`.
    """

    public_name = 'activitynet'
    # Counts of Krishna et al., ICCV 2017.
    splits = tuple(
        Split(
            name=name,
            options=dict(ann_file=ids, captions=captions),
            is_test=ids == 'val_ids.json',
            videos=videos,
            list_ids=read_list,
        )
        for name, ids, captions, videos in (
            ('train', 'train_ids.json', 'train.json', 10_009),
            ('val_1 (test)', 'val_ids.json', 'val_1.json', 4917),
        )
    )

    def __init__(self, data_root: str, ann_file: str, captions: str, **kwargs: Any) -> None:
        super().__init__(data_root=data_root, ann_file=ann_file, companion=captions, **kwargs)

    def video_names(self, video_id: str) -> tuple[str, ...]:
        """Return both habits of naming a file."""
        return video_id, video_id.removeprefix('v_')

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the list and the paragraphs of its videos."""
        ids = self.unique(self._read_ids())
        paragraphs = read_json(self.companion)
        if not isinstance(paragraphs, dict):
            raise AnnotationError(f'{self.companion} must be an object from ids to sentences.')
        listed = set(ids)
        self.note(
            'videos that have a caption but are not in the list are left out',
            (key for key in paragraphs if key not in listed),
        )
        return [
            self._entry(video_id, paragraphs[video_id])
            if video_id in paragraphs
            else dict(video_id=video_id, captions=[])
            for video_id in ids
        ]

    def _read_ids(self) -> list[str]:
        ids = read_list(Path(self.ann_file))
        for number, video_id in enumerate(ids):
            if not isinstance(video_id, str):
                raise AnnotationError(
                    f'{self.ann_file}, entry {number}: {video_id!r} is not an id.'
                )
        return [video_id.strip() for video_id in ids]

    def _entry(self, video_id: str, paragraph: dict[str, Any]) -> dict[str, Any]:
        try:
            end = math.ceil(paragraph['duration'])
            if isinstance(paragraph['sentences'], str):
                raise TypeError('a text is not a list')
            caption = ' '.join(paragraph['sentences'])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise AnnotationError(
                f'{self.companion}, key {video_id!r}: it must be an object with the number '
                f'"duration" and the list "sentences" ({type(error).__name__}: {error}).'
            ) from error
        return dict(video_id=video_id, captions=[caption], start=0.0, end=float(end))
