"""Frames that were decoded once and stored, in place of the videos."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.transforms.randomness import draws_at_random
from diffusionret_mm.storage.fingerprint import version_of_file

# To be raised when stores of before can no longer be read.
FORMAT_VERSION = 2
FRAMES_FILE = 'frames.npy'
INDEX_FILE = 'index.json'
STORE_AGAIN = 'store the frames again with tools/data/prepare.py --frames'


@TRANSFORMS.register_module()
class LoadStoredFrames(BaseTransform):
    """Load what `tools/data/prepare.py --frames` stored: the very frames that decoding gives.

    Takes the place of the transforms from opening a video to frames of their final size. The frames
    are memory-mapped; nothing is decoded.

    Required keys: video_id, filename. Used if present: start and end.
    Added keys: imgs (list of [H, W, 3] uint8), num_frames and img_shape.

    Args:
        store: folder of the stored frames.
        transforms: the transforms that it stands for; what is stored must come from the same ones.

    Raises:
        FileNotFoundError: if there is no such store.
        ValueError: if it was made by other transforms or another version, or, when a video is
            loaded, from another file or another part of it, or without that video.
        VideoReadError: when a video is loaded that could not be read for the store.
    """

    def __init__(self, store: str, transforms: Sequence[Mapping[str, Any]]) -> None:
        self.store = Path(store)
        self.index = read_index(self.store)
        wanted, found = settings_of(transforms), self.index['transforms']
        if found != wanted:
            raise ValueError(
                f'The frames in {store} were made by other transforms. Stored: '
                f'{json.dumps(found)}; wanted: {json.dumps(wanted)}. Correct the config, or '
                f'{STORE_AGAIN}.'
            )
        self._frames: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave the memory map out: copied to another process it would be all frames."""
        return dict(self.__dict__, _frames=None)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add the frames."""
        video = self._check_video(results)
        if self._frames is None:
            self._frames = np.load(self.store / FRAMES_FILE, mmap_mode='r')
        images = np.array(self._frames[video['slot'], : video['count']])
        results['imgs'] = list(images)
        results['num_frames'] = self._frames.shape[1]
        results['img_shape'] = images.shape[1:3]
        return results

    def _check_video(self, results: Mapping[str, Any]) -> dict[str, Any]:
        video_id = results['video_id']
        if video_id in self.index['failed']:
            raise VideoReadError(
                f'{results["filename"]} could not be read when the frames in {self.store} were '
                f'stored: {self.index["failed"][video_id]}.'
            )
        video = self.index['videos'].get(video_id)
        if video is None:
            raise ValueError(f'Video {video_id!r} is not in {self.store}; {STORE_AGAIN}.')
        now = version_of(results['filename'], results)
        stored = {key: video[key] for key in now}
        if now != stored:
            raise ValueError(
                f'{results["filename"]} ({video_id}) is not what the frames in {self.store} were '
                f'made of. Then: {stored}; now: {now}. {STORE_AGAIN.capitalize()}.'
            )
        return video


def read_index(store: Path) -> dict[str, Any]:
    """Read the index of stored frames.

    Args:
        store: their folder.

    Returns:
        format_version, fingerprint, transforms, videos (slot, count and `version_of` by video id)
        and failed (reasons by video id).

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is of another version.
    """
    path = store / INDEX_FILE
    if not path.is_file():
        raise FileNotFoundError(f'{path} does not exist; {STORE_AGAIN}.')
    index = json.loads(path.read_text(encoding='utf-8'))
    if index['format_version'] != FORMAT_VERSION:
        raise ValueError(
            f'{path} has the format version {index["format_version"]}, this program reads '
            f'{FORMAT_VERSION}; {STORE_AGAIN}.'
        )
    return index


def version_of(filename: str, span: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a video file and the part of it that counts.

    Args:
        filename: the file.
        span: its start and end in seconds, if they are set.
    """
    return dict(
        version_of_file(filename)._asdict(),
        start=float(span.get('start') or 0),
        end=None if span.get('end') is None else float(span['end']),
    )


def settings_of(transforms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return configs of transforms with all defaults written out, to compare them.

    Args:
        transforms: from opening a video to frames of their final size.

    Raises:
        ValueError: if one of them draws at random: what is stored is the same in every epoch.
    """
    return json.loads(json.dumps([_settings(transform) for transform in transforms]))


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    options = {key: value for key, value in config.items() if key != 'type'}
    if draws_at_random(config):
        raise ValueError(
            f'{dict(config)} draws at random, so its frames cannot be stored; use '
            "rule='uniform' or decode the videos."
        )
    cls = TRANSFORMS.get(config['type'])
    arguments = inspect.signature(cls).bind(**options)
    arguments.apply_defaults()
    filled = {
        key: _settings(value) if isinstance(value, Mapping) and 'type' in value else value
        for key, value in arguments.arguments.items()
    }
    return dict(type=cls.__name__, **filled)
