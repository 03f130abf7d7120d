"""The contents of the annotation files of a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS

from diffusionret_mm.datasets.splits import Split
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


def data_sets() -> dict[str, type[TextVideoDataset]]:
    """Return the classes of the data sets that can be prepared, by their public names.

    A data set that is registered elsewhere is among them once its module is imported.
    """
    classes = [cls for cls in DATASETS.module_dict.values() if isinstance(cls, type)]
    known = [cls for cls in classes if issubclass(cls, TextVideoDataset) and 'splits' in vars(cls)]
    return {cls.public_name: cls for cls in known if cls.public_name}


def read_contents(cls: type[TextVideoDataset], split: Split, annotations: Path) -> Contents:
    """Read the files of a split that are there.

    Args:
        cls: the data set.
        split: which split of it.
        annotations: folder of the annotation files.

    Raises:
        AnnotationError: if a file is wrong; it names the place.
    """
    reader = cls(data_root=str(annotations), lazy_init=True, **split.options)
    file = Path(reader.ann_file)
    if not file.is_file():
        return Contents(split, reader, missing_file=file.name)
    try:
        entries = reader.checked_entries()
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
        found |= content.reader.locate(files, content.ids, content.entries)
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
