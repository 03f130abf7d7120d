"""MSR-VTT in the files that the field passes around."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.text_video import TextVideoDataset


@DATASETS.register_module()
class MSRVTTDataset(TextVideoDataset):
    """MSR-VTT: ids or captions from a csv file, training captions from `MSRVTT_data.json`.

    A csv file with a column `sentence` holds the captions itself (`MSRVTT_JSFUSION_test.csv`, the
    1k-A test split); one with `video_id` alone (`MSRVTT_train.9k.csv`) takes them from `captions`.

    Args:
        data_root: folder that the other paths start from.
        ann_file: csv file.
        captions: `MSRVTT_data.json`, below `data_root`; unused if the csv file has captions.
        videos: folder of the `{video_id}.mp4` files, below `data_root`.
        rows: first row and the one behind the last of the csv file that are used; None: all.
        **kwargs: of `TextVideoDataset`.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        captions: str = 'MSRVTT_data.json',
        videos: str = 'videos',
        rows: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        self.captions_file = Path(data_root) / captions
        self.video_folder = videos
        self.rows = slice(*rows) if rows else slice(None)
        super().__init__(data_root=data_root, ann_file=ann_file, **kwargs)

    def read_entries(self) -> list[dict[str, Any]]:
        """Read the csv file and, where it has no captions, the json file."""
        rows = self._read_csv()
        if 'sentence' in rows[0]:
            captions: dict[str, list[str]] = {}
            for row in rows:
                captions.setdefault(row['video_id'], []).append(row['sentence'])
        else:
            captions = self._read_captions([row['video_id'] for row in rows])
        return [
            dict(video_id=key, video=f'{self.video_folder}/{key}.mp4', captions=value)
            for key, value in captions.items()
        ]

    def _read_csv(self) -> list[dict[str, str]]:
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(f'The split file {path} does not exist; see the README.')
        with path.open(encoding='utf-8-sig', newline='') as file:
            rows = list(csv.DictReader(file))[self.rows]
        if not rows or 'video_id' not in rows[0]:
            raise AnnotationError(
                f'{path} must be a csv file with a column "video_id" and rows in {self.rows}.'
            )
        return rows

    def _read_captions(self, wanted: list[str]) -> dict[str, list[str]]:
        if not self.captions_file.is_file():
            raise FileNotFoundError(
                f'{self.ann_file} has no captions, and {self.captions_file} does not exist.'
            )
        sentences = json.loads(self.captions_file.read_text(encoding='utf-8'))['sentences']
        captions: dict[str, list[str]] = {video_id: [] for video_id in wanted}
        for sentence in sentences:
            if sentence['video_id'] in captions:
                captions[sentence['video_id']].append(sentence['caption'])
        return captions
