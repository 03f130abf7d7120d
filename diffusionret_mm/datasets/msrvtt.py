"""MSR-VTT in the files that the field passes around."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.annotation_files import read_csv, read_json
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.splits import Split


def _csv_ids(path: Path) -> list[str]:
    return [row['video_id'] for row in read_csv(path, 'video_id')]


# Where the numbers come from: the csv files of the 9k and 7k splits and of 1k-A as they are passed
# around; the full split: Xu et al., CVPR 2016; 20 captions per video. 995: counted in
# MSRVTT_JSFUSION_test.csv.
def _split(name: str, file: str, *families: str, **expected: int) -> Split:
    return Split(
        name=name,
        options=dict(ann_file=file),
        is_test=name.startswith('test'),
        families=families,
        list_ids=_csv_ids,
        **expected,
    )


@DATASETS.register_module()
class MSRVTTDataset(PublicDataset):
    """MSR-VTT: ids or captions from a csv file, training captions from `MSRVTT_data.json`.

    A csv file with a column `sentence` holds the captions itself (`MSRVTT_JSFUSION_test.csv`, the
    1k-A test split); one with `video_id` alone (`MSRVTT_train.9k.csv`, `MSRVTT_train.7k.csv`,
    `MSRVTT_test.full.csv`) takes them from `captions`.

    Args:
        data_root: folder that the other paths start from.
        ann_file: csv file.
        captions: `MSRVTT_data.json`, or the official `train_val_videodatainfo.json` or
            `test_videodatainfo.json`, which have the same form; unused if the csv file has
            captions.
        **kwargs: arguments of `PublicDataset`.
    """

    public_name = 'msrvtt'
    splits = (
        _split('train 9k', 'MSRVTT_train.9k.csv', '9k', videos=9000, captions=180_000),
        _split('train 7k', 'MSRVTT_train.7k.csv', '7k', videos=7010, captions=140_200),
        _split(
            'test 1k-A',
            'MSRVTT_JSFUSION_test.csv',
            *('9k', '7k'),
            videos=1000,
            captions=1000,
            distinct=995,
        ),
        _split('train full', 'MSRVTT_train.full.csv', 'full', videos=6513, captions=130_260),
        _split('val full', 'MSRVTT_val.full.csv', 'full', videos=497, captions=9940),
        _split('test full', 'MSRVTT_test.full.csv', 'full', videos=2990, captions=59_800),
    )

    def __init__(
        self, data_root: str, ann_file: str, captions: str = 'MSRVTT_data.json', **kwargs: Any
    ) -> None:
        super().__init__(data_root=data_root, ann_file=ann_file, companion=captions, **kwargs)

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the csv file and, where it has no captions, the json file."""
        table = read_csv(Path(self.ann_file), 'video_id')
        if table and 'sentence' in table[0]:
            captions: dict[str, list[str]] = {}
            for row in table:
                captions.setdefault(row['video_id'], []).append(row['sentence'])
        else:
            captions = self._read_captions(self.unique(row['video_id'] for row in table))
        return [dict(video_id=key, captions=value) for key, value in captions.items()]

    def _read_captions(self, wanted: list[str]) -> dict[str, list[str]]:
        if not self.companion.is_file():
            raise FileNotFoundError(
                f'{self.ann_file} has no captions, and {self.companion} does not exist.'
            )
        content = read_json(self.companion)
        sentences = content.get('sentences') if isinstance(content, dict) else None
        if not isinstance(sentences, list):
            raise AnnotationError(f'{self.companion} must be an object with a list "sentences".')
        captions: dict[str, list[str]] = {video_id: [] for video_id in wanted}
        for number, sentence in enumerate(sentences):
            try:
                if sentence['video_id'] in captions:
                    captions[sentence['video_id']].append(sentence['caption'])
            except (KeyError, TypeError) as error:
                raise AnnotationError(
                    f'{self.companion}, entry {number} of "sentences": it must be an object with '
                    f'"video_id" and "caption": {sentence!r:.200}.'
                ) from error
        return captions
