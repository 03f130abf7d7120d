"""LSMDC in the files that the field passes around."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.annotation_files import read_fields
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.splits import Split

COLUMNS = ('clip id', 'start aligned', 'end aligned', 'start', 'end', 'sentence')

BROKEN_CLIPS = frozenset(
    {
        '0017_Pianist_00.23.28.872-00.23.34.843',
        '0017_Pianist_00.30.36.767-00.30.38.009',
        '3023_DISTRICT_9_01.12.44.778-01.12.48.729',
        '3044_KNOCKED_UP_00.45.19.000-00.45.23.549',
        '3064_SPARKLE_2012_01.41.07.000-01.41.11.793',
        '3087_WE_BOUGHT_A_ZOO_01.37.34.502-01.37.39.361',
    }
)
"""Clips that cannot be decoded; published code leaves them out, too."""


@DATASETS.register_module()
class LSMDCDataset(PublicDataset):
    """LSMDC: each line has a clip and its sentence, in six columns that tabs separate.

    A clip that has several lines is one video with several captions. The clips of `BROKEN_CLIPS`
    are left out.

    Args:
        data_root: folder that the other paths start from.
        ann_file: `LSMDC16_annos_training.csv`, `LSMDC16_annos_val.csv` or
            `LSMDC16_challenge_1000_publictect.csv`.
        **kwargs: arguments of `PublicDataset`.
    """

    public_name = 'lsmdc'
    # The counts are those of the lists of Collaborative Experts; that of val is CLIP4Clip's.
    splits = tuple(
        Split(name, dict(ann_file=file), is_test=name == 'test', videos=videos)
        for name, file, videos in (
            ('train', 'LSMDC16_annos_training.csv', 101_079),
            ('val', 'LSMDC16_annos_val.csv', 7408),
            ('test', 'LSMDC16_challenge_1000_publictect.csv', 1000),
        )
    )

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the lines; quotes in them are quotes of the sentence."""
        captions: dict[str, list[str]] = {}
        rows = read_fields(Path(self.ann_file), delimiter='\t', quoting=csv.QUOTE_NONE)
        for number, fields in rows:
            if len(fields) != len(COLUMNS) or not fields[0]:
                raise AnnotationError(
                    f'{self.ann_file}, line {number}: {len(fields)} fields that tabs separate; it '
                    f'must have the {len(COLUMNS)} fields {", ".join(COLUMNS)}: {fields}.'
                )
            if not captions and _is_header(fields):
                raise AnnotationError(
                    f'{self.ann_file}, line {number}: {fields} names the columns, and no clip; '
                    'remove the line: the files of LSMDC have no header.'
                )
            captions.setdefault(fields[0], []).append(fields[-1])
        self.note('clips known as broken are left out', sorted(BROKEN_CLIPS & captions.keys()))
        return [
            dict(video_id=key, captions=value)
            for key, value in captions.items()
            if key not in BROKEN_CLIPS
        ]


def _is_header(fields: list[str]) -> bool:
    """Whether the first row has names where times should be, or the numbers of its columns."""
    named = all(any(map(str.isalpha, field)) for field in fields[1:5])
    return named or fields == [str(number) for number in range(len(COLUMNS))]
