"""The base class of the public data sets, whose files are read as the field passes them around."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.manifest import Manifest
from diffusionret_mm.datasets.splits import Split
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.video_files import VideoFiles
from diffusionret_mm.storage.names import is_visible


class PublicDataset(TextVideoDataset):
    """A data set whose videos are found by their ids; a reader overrides `read_annotation`.

    `notes` maps each oddity of the files, such as empty captions, to the ids that it concerns.
    Each is logged with its count.

    Args:
        data_root: folder that the other paths start from.
        ann_file: annotation file.
        companion: the file that belongs to it, if the format has two.
        videos: folder of the videos; their extensions, sub-folders and case do not matter.
        manifest: file that `tools/data/prepare.py` wrote; it says where each video is, so that the
            folder is not searched. None: search it.
        **kwargs: arguments of `TextVideoDataset`.

    Raises:
        FileNotFoundError: if an annotation file or the folder is missing.
        AnnotationError: if an annotation file is wrong, or is not the one that was prepared.
    """

    required_keys = ('video_id', 'captions')
    public_name = ''
    splits: tuple[Split, ...] = ()

    def __init__(
        self,
        data_root: str,
        ann_file: str,
        companion: str | None = None,
        videos: str = 'videos',
        manifest: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.companion = Path(data_root, companion) if companion else None
        self.manifest = Path(data_root, manifest) if manifest else None
        self.videos = videos
        self._notes: dict[str, list[str]] = {}
        super().__init__(data_root=data_root, ann_file=ann_file, **kwargs)

    @property
    def video_folder(self) -> str:
        """The folder below which the videos are."""
        return os.path.join(self.data_root, self.videos)

    @property
    def video_source(self) -> str:
        """The folder, or what the manifest found in it."""
        if self.manifest is not None:
            return f'the readable videos of {self.manifest}'
        return self.video_folder

    def read_annotation(self) -> list[dict[str, Any]]:
        """Read the files; a reader overrides this.

        Returns:
            Entries with video_id, captions (any number, also empty ones) and, if only a part of
            the video counts, start and end in seconds.
        """
        raise NotImplementedError

    def video_names(self, video_id: str) -> tuple[str, ...]:
        """Return what the file of a video may be called, the most likely name first."""
        return (video_id,)

    def read_entries(self) -> list[dict[str, Any]]:
        """Read the files, without empty captions and without videos that have no other."""
        self._notes.clear()
        entries = [self._without_empty_captions(entry) for entry in self.read_annotation()]
        self.note(
            'videos without a caption are left out',
            (entry['video_id'] for entry in entries if not entry['captions']),
        )
        for what, ids in self.notes.items():
            names = ', '.join(ids[:3]) + (', ...' if len(ids) > 3 else '')
            print_log(f'{self.ann_file}: {len(ids)} {what}: {names}', 'current', level=30)
        return [entry for entry in entries if entry['captions']]

    def locate(
        self, files: VideoFiles, ids: Sequence[str], entries: Sequence[Mapping[str, Any]]
    ) -> dict[str, Path | None]:
        """Find videos by their names; see `TextVideoDataset.locate`."""
        return {key: files.find(*self.video_names(key)) for key in ids}

    @property
    def notes(self) -> dict[str, list[str]]:
        """What the files have too much or too little, with the ids that it concerns."""
        return self._notes

    def note(self, what: str, ids: Iterable[str]) -> None:
        """Remember something odd about videos.

        Args:
            what: what it is and what is done about it, to be read after a number.
            ids: the videos, or one id as often as it has it.
        """
        ids = list(ids)
        if ids:
            self._notes.setdefault(what, []).extend(ids)

    def unique(self, ids: Iterable[str]) -> list[str]:
        """Return ids in their order, each once."""
        kept: dict[str, None] = {}
        for video_id in ids:
            if video_id in kept:
                self.note('repetitions of an id are left out', [video_id])
            kept[video_id] = None
        return list(kept)

    def find_videos(self, entries: list[dict[str, Any]]) -> list[Path | None]:
        """Find the videos by the manifest or by their names."""
        if self.manifest is not None:
            manifest = Manifest.load(self.manifest)
            manifest.check_annotations(self.annotation_files)
            return [manifest.video_path(entry['video_id']) for entry in entries]
        files = VideoFiles(self.video_folder)
        self._log_duplicates(files)
        return [files.find(*self.video_names(entry['video_id'])) for entry in entries]

    def _without_empty_captions(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Drop empty captions, and write white space as CLIP's tokeniser reads it."""
        for caption in entry['captions']:
            if not isinstance(caption, str):
                raise AnnotationError(
                    f'{self.ann_file}: video {entry["video_id"]!r} has the caption {caption!r}, '
                    'which is not a text.'
                )
        captions = [' '.join(caption.split()) for caption in entry['captions']]
        filled = [caption for caption in captions if is_visible(caption)]
        self.note(
            'empty captions are left out', [entry['video_id']] * (len(captions) - len(filled))
        )
        return dict(entry, captions=filled)

    def _log_duplicates(self, files: VideoFiles) -> None:
        if files.duplicates:
            paths = next(iter(files.duplicates.values()))
            print_log(
                f'{len(files.duplicates)} names in {files.folder} belong to several files, of which'
                f' one is used: {paths[0]} and not {paths[1]}',
                'current',
                level=30,
            )
