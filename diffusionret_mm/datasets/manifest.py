"""The manifest of a data set: what `tools/data/prepare.py` found out, in one file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.fingerprint import sha256_of

# To be raised when files of before can no longer be read.
FORMAT_VERSION = 1
PREPARE_AGAIN = 'run tools/data/prepare.py again'


@dataclass(frozen=True)
class VideoRecord:
    """What is known of one video.

    Attributes:
        status: 'ok', 'missing' or 'unreadable'.
        reason: why it is unreadable; of a readable one, what is wrong with its end.
        path: path below the video folder.
        bytes: size of the file.
        mtime_ns: when it was changed, in nanoseconds.
        decoder: what read it, such as 'pyav'.
        frames: number of frames.
        fps: mean frame rate; 0 if unknown.
        duration: seconds; 0 if unknown.
        width: width of a frame in pixels.
        height: height of a frame in pixels.
    """

    status: str
    reason: str = ''
    path: str | None = None
    bytes: int | None = None
    mtime_ns: int | None = None
    decoder: str | None = None
    frames: int | None = None
    fps: float | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class Manifest:
    """The videos of a data set and the annotation files that name them.

    Attributes:
        dataset: name of the data set, as `tools/data/prepare.py` takes it.
        video_folder: folder that the paths of the records start from.
        annotations: the SHA-256 of each annotation file, by the name of the file.
        videos: records by video id.
    """

    dataset: str
    video_folder: Path
    annotations: Mapping[str, str]
    videos: Mapping[str, VideoRecord]

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Manifest:
        """Read a manifest.

        Args:
            path: the file that `save` wrote.

        Raises:
            FileNotFoundError: if there is no such file.
            AnnotationError: if it is not a manifest, or one of another version.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(
                f'The manifest {path} does not exist; write it with tools/data/prepare.py.'
            )
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            version = content['format_version']
            if version != FORMAT_VERSION:
                raise AnnotationError(
                    f'{path} has the format version {version}, this program reads '
                    f'{FORMAT_VERSION}; {PREPARE_AGAIN}.'
                )
            return cls(
                dataset=content['dataset'],
                video_folder=path.parent / content['video_folder'],
                annotations=content['annotations'],
                videos={key: VideoRecord(**value) for key, value in content['videos'].items()},
            )
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise AnnotationError(
                f'{path} is not a manifest of tools/data/prepare.py '
                f'({type(error).__name__}: {error}).'
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the manifest; the file appears when it is complete.

        A video folder below the manifest's own folder is kept as a relative path, so that both
        can be moved together.

        Args:
            path: file to write.
        """
        folder, home = self.video_folder.resolve(), Path(path).resolve().parent
        content = {
            'format_version': FORMAT_VERSION,
            'dataset': self.dataset,
            'video_folder': str(
                folder.relative_to(home) if folder.is_relative_to(home) else folder
            ),
            'annotations': dict(self.annotations),
            'videos': {key: _without_none(record) for key, record in self.videos.items()},
        }
        write_json(path, content, indent=1)

    def video_path(self, video_id: str) -> Path | None:
        """Return the file of a video, or None if it is missing or unreadable.

        Args:
            video_id: a video of the annotation files.
        """
        record = self.videos.get(video_id)
        if record is None or record.status != 'ok':
            return None
        return self.video_folder / record.path

    def check_annotations(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Make sure that annotation files are those that were prepared.

        Args:
            paths: files; they are known by their names, whatever their folder.

        Raises:
            AnnotationError: if one has changed or was not there; it names the file.
        """
        for path in map(Path, paths):
            prepared = self.annotations.get(path.name)
            if prepared is None:
                raise AnnotationError(
                    f'{path} was not there when the data set {self.dataset!r} was prepared; '
                    f'{PREPARE_AGAIN}.'
                )
            if prepared != sha256_of(path):
                raise AnnotationError(
                    f'{path} has changed since the data set {self.dataset!r} was prepared; '
                    f'{PREPARE_AGAIN}, or put the file of then back.'
                )


def _without_none(record: VideoRecord) -> dict[str, Any]:
    return {key: value for key, value in asdict(record).items() if value not in (None, '')}
