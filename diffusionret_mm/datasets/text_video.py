"""The data set every reader derives from: an item is a video with all its captions."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from diffusionret_mm.datasets.errors import AnnotationError, VideoReadError

BAD_VIDEO_RULES = ('error', 'skip')
DECODER_PACKAGES = {'decord', 'av', 'cv2'}


@DATASETS.register_module()
class TextVideoDataset(BaseDataset):
    """Videos with captions, from a JSON list or from a reader that derives from this class.

    The JSON file is a list of objects: `video_id` (unique), `video` (path below `data_root`),
    `captions` (non-empty list of non-empty strings) and optionally `group` (clips that a
    `GroupSampler` keeps in one batch).

    Args:
        data_root: folder that paths start from.
        ann_file: annotation file, below `data_root` or absolute.
        pipeline: transforms of an item.
        captions_per_video: captions that a training item draws, the same number for every video
            (with repetition where it has fewer); None takes all, as evaluation must.
        bad_videos: what a missing or unreadable video is: 'error', or in training 'skip': the next
            readable item takes its place, and each is logged and counted.
        test_mode: whether the items are for evaluation.

    Raises:
        FileNotFoundError: if the annotation file is missing, or videos are and may not be.
        AnnotationError: if an entry is wrong; it names the file and the entry.
        ValueError: if an option is out of range.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str = '',
        pipeline: Sequence[Mapping[str, Any] | Callable] = (),
        captions_per_video: int | None = None,
        bad_videos: str = 'error',
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        if bad_videos not in BAD_VIDEO_RULES:
            raise ValueError(f'bad_videos must be one of {BAD_VIDEO_RULES}; got {bad_videos!r}.')
        if test_mode and (bad_videos == 'skip' or captions_per_video is not None):
            raise ValueError(
                "Evaluation ranks every video and caption: bad_videos='skip' and "
                'captions_per_video are for training only.'
            )
        self.captions_per_video = captions_per_video
        self.bad_videos = bad_videos
        # In shared memory, so that loader workers that outlive an epoch see and count them too.
        self._seed_and_epoch = torch.zeros(2, dtype=torch.int64).share_memory_()
        self._num_skipped = torch.zeros(1, dtype=torch.int64).share_memory_()
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            pipeline=list(pipeline),
            test_mode=test_mode,
            **kwargs,
        )

    @property
    def num_skipped(self) -> int:
        """Number of unreadable items that were replaced so far."""
        return int(self._num_skipped)

    def set_epoch(self, epoch: int, seed: int) -> None:
        """Let random draws depend on the epoch and the run's seed; `GroupSampler` calls it."""
        self._seed_and_epoch.copy_(torch.tensor([seed, epoch]))

    def read_entries(self) -> list[dict[str, Any]]:
        """Read the annotation; a reader of another format overrides this.

        Returns:
            Entries with the keys of the JSON format; `video` may be absolute.
        """
        path = Path(self.ann_file)
        if not path.is_file():
            raise FileNotFoundError(
                f'The annotation file {path} does not exist; set data_root and ann_file of '
                f'{type(self).__name__} in the config.'
            )
        try:
            entries = json.loads(path.read_text(encoding='utf-8'))
        except json.JSONDecodeError as error:
            raise AnnotationError(f'{path} is not valid JSON: {error}') from error
        if not isinstance(entries, list):
            raise AnnotationError(f'{path} must hold a JSON list of videos.')
        return entries

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read, check and complete the entries."""
        entries = self.read_entries()
        if not entries:
            raise AnnotationError(f'{self.ann_file} lists no video.')
        data_list = []
        seen: set[str] = set()
        for row, entry in enumerate(entries):
            data_list.append(self._check_entry(row, entry, seen))
        missing = [entry for entry in data_list if not os.path.isfile(entry['filename'])]
        if missing:
            data_list = self._handle_missing(data_list, missing)
        for index, entry in enumerate(data_list):
            entry['video_index'] = index
        return data_list

    def group_of(self, index: int) -> str:
        """Return the group of an item; an item without one is a group of its own."""
        info = self.get_data_info(index)
        return info.get('group', info['video_id'])

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on an item.

        Random transforms draw from `numpy.random.default_rng(results['item_seed'])`, which depends
        on seed, epoch and item alone, not on the loader's workers.

        Raises:
            VideoReadError: if the video cannot be read and must not be skipped.
        """
        for replacement in range(len(self)):
            index = (idx + replacement) % len(self)
            info = self.get_data_info(index)
            info['item_seed'] = (*self._seed_and_epoch.tolist(), info['video_index'])
            info['captions_per_video'] = self.captions_per_video
            try:
                return self.pipeline(info)
            except Exception as error:
                if not _is_read_error(error):
                    raise
                self._handle_unreadable(info, error)
        raise VideoReadError(f'No video of {self.ann_file} could be read.')

    def _check_entry(self, row: int, entry: dict[str, Any], seen: set[str]) -> dict[str, Any]:
        where = f'{self.ann_file}, entry {row}'
        for key in ('video_id', 'video', 'captions'):
            if not entry.get(key):
                raise AnnotationError(f'{where}: "{key}" is missing or empty: {entry}')
        if entry['video_id'] in seen:
            raise AnnotationError(f'{where}: video_id {entry["video_id"]!r} occurs twice.')
        for number, caption in enumerate(entry['captions']):
            if not isinstance(caption, str) or not caption.strip():
                raise AnnotationError(
                    f'{where}: caption {number} of video {entry["video_id"]!r} is empty; '
                    'remove it from the list, or the video if it has no other caption.'
                )
        seen.add(entry['video_id'])
        return dict(entry, filename=os.path.join(self.data_root, entry['video']))

    def _handle_missing(self, data_list: list[dict], missing: list[dict]) -> list[dict]:
        names = ', '.join(entry['filename'] for entry in missing[:3])
        text = f'{len(missing)} of {len(data_list)} videos of {self.ann_file} are missing: {names}'
        text += ', ...' if len(missing) > 3 else ''
        if self.bad_videos == 'error':
            raise FileNotFoundError(
                f'{text}. Put them there, correct data_root, or train without them by '
                "bad_videos='skip' in the training data set."
            )
        print_log(f'{text}; they are left out.', logger='current', level=30)
        self._num_skipped += len(missing)
        absent = {entry['video_id'] for entry in missing}
        return [entry for entry in data_list if entry['video_id'] not in absent]

    def _handle_unreadable(self, info: dict[str, Any], error: Exception) -> None:
        text = (
            f'The video {info["filename"]} (video_id {info["video_id"]!r} of {self.ann_file}) '
            f'cannot be read: {type(error).__name__}: {str(error).strip()[:300]}'
        )
        if self.bad_videos == 'error':
            raise VideoReadError(
                f'{text}\nReplace the file, remove it from the annotation, or train without it by '
                "bad_videos='skip' in the training data set."
            ) from error
        self._num_skipped += 1
        print_log(
            f'{text}; skipped ({self.num_skipped} so far), the next one takes its place.',
            logger='current',
            level=30,
        )


def _is_read_error(error: Exception) -> bool:
    """Whether the file is at fault, not the program.

    Decoders raise classes of their own, or a bare RuntimeError from their own code.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    raised_in = frames[-1][0].f_globals.get('__name__', '')
    packages = {type(error).__module__.split('.')[0], raised_in.split('.')[0]}
    return isinstance(error, (OSError, VideoReadError)) or bool(packages & DECODER_PACKAGES)
