"""A check of a data set: are its files there, readable and as many as the literature has?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from diffusionret_mm.datasets.manifest import Manifest, VideoRecord
from diffusionret_mm.datasets.preparation.contents import (
    Contents,
    data_sets,
    read_contents,
    videos_of_splits,
)
from diffusionret_mm.datasets.preparation.probing import journal_of, probe_videos
from diffusionret_mm.datasets.video_files import VideoFiles
from diffusionret_mm.storage.fingerprint import sha256_of
from diffusionret_mm.storage.locks import locked


@dataclass(frozen=True)
class Preparation:
    """What a check found.

    Attributes:
        dataset: name of the data set.
        contents: its splits.
        manifest: what was written; None if only annotation files were checked.
        num_probed: number of videos that were opened, the others being known.
        ambiguous: names that several files have, with these files; the first one is used.
        passed_over: what cannot be read as a file or a folder, with the reason, by path.
        other_files: how many files are not named like a video, by extension.
    """

    dataset: str
    contents: list[Contents]
    manifest: Manifest | None = None
    num_probed: int = 0
    ambiguous: Mapping[str, list[Path]] | None = None
    passed_over: Mapping[str, str] = field(default_factory=dict)
    other_files: str = ''

    def records(self, content: Contents) -> list[VideoRecord]:
        """Return what is known of the videos that a split needs."""
        return [self.manifest.videos[video_id] for video_id in content.needed]

    @property
    def bad_test_videos(self) -> list[str]:
        """Test videos that are missing, unreadable or too short; none if none were checked."""
        if self.manifest is None:
            return []
        tests = [content for content in self.contents if content.split.is_test]
        needed = dict.fromkeys(video_id for content in tests for video_id in content.needed)
        outside = {video_id for content in tests for video_id, *_ in self.outside(content)}
        return [
            video_id
            for video_id in needed
            if self.manifest.videos[video_id].status != 'ok' or video_id in outside
        ]

    def outside(self, content: Contents) -> list[tuple[str, float, float]]:
        """Return readable videos that end before the part begins that counts.

        Returns:
            Of each its id, the start of the part, and its duration, in seconds.
        """
        found = []
        for entry in content.entries:
            record = self.manifest.videos[entry['video_id']]
            start = float(entry.get('start') or 0)
            if record.status == 'ok' and record.duration and start >= record.duration:
                found.append((entry['video_id'], start, record.duration))
        return found


def check_dataset(
    dataset: str,
    annotations: Path,
    videos: Path | None = None,
    manifest: Path | None = None,
    workers: int | None = None,
    seconds: float | None = None,
) -> Preparation:
    """Read the annotation files that are there, probe the videos and write the manifest.

    Args:
        dataset: public name of one of `data_sets()`.
        annotations: folder of the annotation files.
        videos: folder of the videos; None: only annotation files are checked, nothing is written.
        manifest: file to write; needed with `videos`.
        workers: number of processes; None: one per CPU core.
        seconds: how long a video may take, see `time_limit`; None: the default.

    Raises:
        FileNotFoundError: if a folder is missing, or all annotation files are.
        AnnotationError: if an annotation file is wrong; it names the place.
        RuntimeError: if the same manifest is being written by another process.
    """
    if annotations.is_file():
        raise NotADirectoryError(
            f'{annotations} is a file; give the folder of the annotation files.'
        )
    if not annotations.is_dir():
        raise FileNotFoundError(f'The annotation folder {annotations} does not exist.')
    cls = data_sets()[dataset]
    contents = [read_contents(cls, split, annotations) for split in cls.splits]
    if not any(content.ids for content in contents):
        names = ', '.join(content.missing_file for content in contents)
        raise FileNotFoundError(f'None of the annotation files is in {annotations}: {names}.')
    if videos is None:
        return Preparation(dataset, contents)
    folder = videos.absolute()
    files = videos_of_splits(contents, folder)
    with locked(manifest):
        records, num_probed = probe_videos(files, folder, manifest, workers, seconds)
        paths = dict.fromkeys(path for content in contents for path in content.files)
        result = Manifest(dataset, folder, {path.name: sha256_of(path) for path in paths}, records)
        result.save(manifest)
        journal_of(manifest).unlink(missing_ok=True)
    found = VideoFiles(folder)
    odd = found.duplicates, found.passed_over, found.other_files
    return Preparation(dataset, contents, result, num_probed, *odd)
