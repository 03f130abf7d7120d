"""The contents of the annotation files of a data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.preparation.splits import Split
from diffusionret_mm.datasets.public_dataset import PublicDataset
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.video_files import VideoFiles

WITHOUT_CAPTION = 'videos without a caption are left out'


@dataclass
class Contents:
    """A split as its annotation files have it.

    Attributes:
        split: which split.
        reader: what reads it.
        ids: all videos listed, also those without a caption.
        entries: the videos with captions, as the reader gives them.
        notes: what is odd, with the ids concerned.
        missing_file: the annotation file that is not there; empty if all are.
        files: the annotation files that were read.
    """

    split: Split
    reader: TextVideoDataset
    ids: list[str] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, list[str]] = field(default_factory=dict)
    missing_file: str = ''
    files: list[Path] = field(default_factory=list)

    @property
    def captions(self) -> list[str]:
        """All captions of the split."""
        return [caption for entry in self.entries for caption in entry['captions']]

    @property
    def needed(self) -> list[str]:
        """Videos that training or testing reads: those with captions, if captions are known."""
        return [entry['video_id'] for entry in self.entries] if self.entries else self.ids


def read_contents(split: Split, annotations: Path) -> Contents:
    """Read the files of a split that are there.

    Args:
        split: which split.
        annotations: folder of the annotation files.

    Raises:
        AnnotationError: if a file is wrong; it names the place.
    """
    reader = split.reader(data_root=str(annotations), lazy_init=True, **split.options)
    file = Path(reader.ann_file)
    if not file.is_file():
        return Contents(split, reader, missing_file=file.name)
    if not isinstance(reader, PublicDataset):
        entries = _read_own(reader)
        ids = [entry['video_id'] for entry in entries]
        return Contents(split, reader, ids, entries, files=[file])
    try:
        entries = reader.read_entries()
    except FileNotFoundError:
        if split.list_ids is None:
            raise
        ids = reader.unique(split.list_ids(file))
        return Contents(split, reader, ids, [], dict(reader.notes), reader.companion.name, [file])
    notes = dict(reader.notes)
    ids = [entry['video_id'] for entry in entries] + notes.pop(WITHOUT_CAPTION, [])
    return Contents(split, reader, ids, entries, notes, files=reader.annotation_files)


def videos_of_splits(contents: list[Contents], folder: Path) -> dict[str, Path | None]:
    """Find the videos of all splits.

    Args:
        contents: the splits.
        folder: folder of the videos.

    Returns:
        The file of each video, by video id; None if it is missing.

    Raises:
        FileNotFoundError: if the folder does not exist.
    """
    files = VideoFiles(folder)
    found: dict[str, Path | None] = {}
    for content in contents:
        if isinstance(content.reader, PublicDataset):
            names = content.reader.video_names
            found |= {key: files.find(*names(key)) for key in content.ids}
        else:
            paths = {entry['video_id']: folder / entry['video'] for entry in content.entries}
            found |= {key: path if path.is_file() else None for key, path in paths.items()}
    return found


def shared_videos(contents: list[Contents]) -> list[tuple[str, str, list[str], list[str]]]:
    """Find what is in two splits that should have nothing in common.

    Args:
        contents: the splits.

    Returns:
        Of each pair of splits with anything in common: their names, the ids and the captions that
        are in both.
    """
    pairs = []
    for number, one in enumerate(contents):
        for other in contents[number + 1 :]:
            if set(one.split.families) & set(other.split.families):
                ids = sorted(set(one.ids) & set(other.ids))
                captions = sorted(set(one.captions) & set(other.captions))
                pairs.append((one.split.name, other.split.name, ids, captions))
    return [pair for pair in pairs if pair[2] or pair[3]]


def _read_own(reader: TextVideoDataset) -> list[dict[str, Any]]:
    """Read a JSON list, and check what the preparation needs of it."""
    entries = reader.read_entries()
    for row, entry in enumerate(entries):
        for key, kind in (('video_id', str), ('video', str), ('captions', list)):
            if not isinstance(entry, dict) or not isinstance(entry.get(key), kind):
                raise AnnotationError(
                    f'{reader.ann_file}, entry {row}: it must have the {kind.__name__} "{key}": '
                    f'{entry!r:.200}.'
                )
    repeated = [key for key, n in Counter(entry['video_id'] for entry in entries).items() if n > 1]
    if repeated:
        raise AnnotationError(f'{reader.ann_file}: video_id {repeated[0]!r} occurs twice.')
    return entries
