"""The splits of the public data sets: how each is read, and how large the literature says it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusionret_mm.datasets.activitynet import ActivityNetCaptionsDataset
from diffusionret_mm.datasets.annotation_files import read_csv, read_lines, read_list
from diffusionret_mm.datasets.didemo import DiDeMoDataset
from diffusionret_mm.datasets.lsmdc import LSMDCDataset
from diffusionret_mm.datasets.msrvtt import MSRVTTDataset
from diffusionret_mm.datasets.msvd import MSVDDataset
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.video_files import strip_suffixes


@dataclass(frozen=True)
class Split:
    """A split of a data set.

    Attributes:
        name: what reports call it.
        reader: class that reads it.
        options: arguments of the reader, but for data_root.
        is_test: whether papers report results on it.
        videos: number of videos with a caption in the literature; None if it has none.
        captions: number of captions in the literature.
        distinct: number of distinct captions in the literature.
        explanations: why other numbers of videos are right, too.
        families: splits that share one must have no video in common.
        list_ids: reads the ids from the annotation file alone, if it holds no captions.
    """

    name: str
    reader: type[TextVideoDataset]
    options: Mapping[str, Any]
    is_test: bool = False
    videos: int | None = None
    captions: int | None = None
    distinct: int | None = None
    explanations: Mapping[int, str] = field(default_factory=dict)
    families: tuple[str, ...] = ('',)
    list_ids: Callable[[Path], list[str]] | None = None


def _csv_ids(path: Path) -> list[str]:
    return [row['video_id'] for row in read_csv(path, 'video_id')]


def _line_ids(path: Path) -> list[str]:
    return [strip_suffixes(line) for line in read_lines(path)]


def _msrvtt(name: str, file: str, *families: str, **expected: int) -> Split:
    return Split(
        name=name,
        reader=MSRVTTDataset,
        options=dict(ann_file=file),
        is_test=name.startswith('test'),
        families=families,
        list_ids=_csv_ids,
        **expected,
    )


def _msvd(name: str, videos: int) -> Split:
    return Split(
        name=name,
        reader=MSVDDataset,
        options=dict(ann_file=f'{name}_list.txt'),
        is_test=name == 'test',
        videos=videos,
        list_ids=_line_ids,
    )


def _lsmdc(name: str, file: str, videos: int) -> Split:
    return Split(name, LSMDCDataset, dict(ann_file=file), is_test=name == 'test', videos=videos)


def _activitynet(name: str, ids: str, captions: str, videos: int, is_test: bool = False) -> Split:
    return Split(
        name=name,
        reader=ActivityNetCaptionsDataset,
        options=dict(ann_file=ids, captions=captions),
        is_test=is_test,
        videos=videos,
        list_ids=read_list,
    )


def _didemo(name: str, videos: int, in_labels: int) -> Split:
    text = (
        f'didemo_{name}_label.csv has {in_labels:,} rows, "success" is True in each of them: the '
        f'{videos - in_labels} others are presumably those that its maker could not process.'
    )
    explanations = {in_labels: text} if in_labels != videos else {}
    options = dict(split=name)
    return Split(name, DiDeMoDataset, options, name == 'test', videos, explanations=explanations)


def _own(name: str) -> Split:
    return Split(name, TextVideoDataset, dict(ann_file=f'{name}.json'), is_test=name == 'test')


# Where the numbers come from. MSR-VTT: the csv files of the 9k and 7k splits and of 1k-A as they
# are passed around; the full split: Xu et al., CVPR 2016; 20 captions per video. 995: counted in
# MSRVTT_JSFUSION_test.csv. MSVD, LSMDC, DiDeMo: the lists of Collaborative Experts, which
# CLIP4Clip uses, too; LSMDC val: CLIP4Clip. ActivityNet Captions: Krishna et al., ICCV 2017.
SPLITS: Mapping[str, tuple[Split, ...]] = {
    'msrvtt': (
        _msrvtt('train 9k', 'MSRVTT_train.9k.csv', '9k', videos=9000, captions=180_000),
        _msrvtt('train 7k', 'MSRVTT_train.7k.csv', '7k', videos=7010, captions=140_200),
        _msrvtt(
            'test 1k-A',
            'MSRVTT_JSFUSION_test.csv',
            *('9k', '7k'),
            videos=1000,
            captions=1000,
            distinct=995,
        ),
        _msrvtt('train full', 'MSRVTT_train.full.csv', 'full', videos=6513, captions=130_260),
        _msrvtt('val full', 'MSRVTT_val.full.csv', 'full', videos=497, captions=9940),
        _msrvtt('test full', 'MSRVTT_test.full.csv', 'full', videos=2990, captions=59_800),
    ),
    'msvd': (_msvd('train', 1200), _msvd('val', 100), _msvd('test', 670)),
    'lsmdc': (
        _lsmdc('train', 'LSMDC16_annos_training.csv', 101_079),
        _lsmdc('val', 'LSMDC16_annos_val.csv', 7408),
        _lsmdc('test', 'LSMDC16_challenge_1000_publictect.csv', 1000),
    ),
    'activitynet': (
        _activitynet('train', 'train_ids.json', 'train.json', 10_009),
        _activitynet('val_1 (test)', 'val_ids.json', 'val_1.json', 4917, is_test=True),
    ),
    'didemo': (
        _didemo('train', 8392, 8362),
        _didemo('val', 1065, 1062),
        _didemo('test', 1004, 1004),
    ),
    'json': tuple(_own(name) for name in ('train', 'val', 'test')),
}
