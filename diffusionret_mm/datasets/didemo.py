"""DiDeMo in the two forms that the field passes around."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.annotation_files import read_csv, read_lines, read_list
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.splits import Split

SPLITS = ('train', 'val', 'test')
CLIP_SECONDS = 31.0


def _split(name: str, videos: int, in_labels: int) -> Split:
    text = (
        f'didemo_{name}_label.csv has {in_labels:,} rows, "success" is True in each of them: the '
        f'{videos - in_labels} others are presumably those that its maker could not process.'
    )
    explanations = {in_labels: text} if in_labels != videos else {}
    return Split(name, dict(split=name), name == 'test', videos, explanations=explanations)


@DATASETS.register_module()
class DiDeMoDataset(PublicDataset):
    """DiDeMo: all descriptions of a video are one paragraph, its only caption.

    It reads the form that is there: `{split}_data.json`, of which `{split}_list.txt` chooses the
    videos if it exists, or else `didemo_{split}_label.csv`. Ids are file names up to the first dot,
    as videos come with various extensions. The first 31 seconds of a video count.

    Args:
        data_root: folder that the other paths start from.
        split: 'train', 'val' or 'test'.
        **kwargs: arguments of `PublicDataset`.

    Raises:
        ValueError: if the split does not exist.
    """

    public_name = 'didemo'
    # Counts of the lists of Collaborative Experts.
    splits = (_split('train', 8392, 8362), _split('val', 1065, 1062), _split('test', 1004, 1004))

    def __init__(self, data_root: str, split: str, **kwargs: Any) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}; got {split!r}.')
        root = Path(data_root)
        descriptions, labels = f'{split}_data.json', f'didemo_{split}_label.csv'
        self.has_labels = (root / labels).is_file() and not (root / descriptions).is_file()
        super().__init__(
            data_root=data_root,
            ann_file=labels if self.has_labels else descriptions,
            companion=None if self.has_labels else f'{split}_list.txt',
            **kwargs,
        )

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the form that is there; videos are in the order of their first description."""
        texts: dict[str, list[str]] = {}
        for name, text in self._read_labels() if self.has_labels else self._read_descriptions():
            texts.setdefault(video_id_of(name), []).append(text)
        if self.companion in self.annotation_files:
            texts = self._listed(texts)
        return [
            dict(video_id=key, captions=[' '.join(value)], start=0.0, end=CLIP_SECONDS)
            for key, value in texts.items()
        ]

    def _read_labels(self) -> list[tuple[str, str]]:
        table = read_csv(Path(self.ann_file), 'video_path', 'text')
        return [(row['video_path'], row['text']) for row in table]

    def _read_descriptions(self) -> list[tuple[str, str]]:
        pairs = []
        for number, entry in enumerate(read_list(Path(self.ann_file))):
            found = entry if isinstance(entry, dict) else {}
            video, description = found.get('video'), found.get('description')
            if not isinstance(video, str) or not isinstance(description, str):
                raise AnnotationError(
                    f'{self.ann_file}, entry {number}: it must be an object with the texts "video" '
                    f'and "description": {entry!r:.200}.'
                )
            pairs.append((video, description))
        return pairs

    def _listed(self, texts: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return the texts of the videos in the list; listed videos without one get none."""
        ids = self.unique(video_id_of(name) for name in read_lines(self.companion))
        listed = set(ids)
        self.note(
            'videos that have a caption but are not in the list are left out',
            (key for key in texts if key not in listed),
        )
        kept = {key: value for key, value in texts.items() if key in listed}
        return kept | {key: [] for key in ids if key not in kept}


def video_id_of(name: str) -> str:
    """Return the id in a file name or path, of Windows too.

    Examples:
        >>> video_id_of('/videos/1@N02_3_a4.avi.mp4')
        '1@N02_3_a4'
    """
    return PureWindowsPath(name.strip()).name.split('.')[0]
