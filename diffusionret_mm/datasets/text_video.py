"""The data set every reader derives from: an item is a video with its captions."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import DATASETS
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from torch import Tensor

from diffusionret_mm.datasets.annotation_files import read_list
from diffusionret_mm.datasets.entry_checks import check_entry, check_known
from diffusionret_mm.datasets.errors import AnnotationError, VideoReadError
from diffusionret_mm.datasets.splits import Split
from diffusionret_mm.datasets.video_files import VideoFiles
from diffusionret_mm.evaluation.confusions import Relation

BAD_VIDEO_RULES = ('error', 'skip')
ITEMS = ('video', 'caption')
DECODER_PACKAGES = {'decord', 'av', 'cv2'}


@DATASETS.register_module()
class TextVideoDataset(BaseDataset):
    """Videos with captions, from a JSON list or from a reader that derives from this class.

    The JSON file is a list of objects. Each has `video_id` (unique), `video` (path below
    `data_root`) and `captions` (non-empty list of non-empty strings). It may also have

    - `group`: clips that a `GroupSampler` keeps in one batch;
    - `start` and `end`: the part of the video that counts, in seconds; `end` may be null;
    - `answers`: for each caption the ids of all videos of the file that it fits, its own among
      them; `SeveralAnswersMetric` reads them.

    Args:
        data_root: folder that paths start from.
        ann_file: annotation file, below `data_root` or absolute.
        pipeline: transforms of an item.
        item: what a training item is: 'video', or 'caption' (one item for each caption of each
            video, as published code trains; items of one video share its `video_index`).
        rows: number of the first entry and of the one behind the last that are used; None is the
            end, negative numbers count from it: `(-500, None)` are the last 500. None: all.
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

    required_keys: tuple[str, ...] = ('video_id', 'video', 'captions')

    public_name: str = 'json'
    """What `tools/data/prepare.py` calls the data set; empty: it does not prepare it."""

    splits: tuple[Split, ...] = tuple(
        Split(name, dict(ann_file=f'{name}.json'), is_test=name == 'test')
        for name in ('train', 'val', 'test')
    )
    """The splits that `tools/data/prepare.py` checks."""

    companion: Path | None = None
    """The file that belongs to the annotation file, if the format has two."""

    manifest: Path | None = None
    """The file that says where each video is, if one is used."""

    has_frames: bool = True
    """Whether items have frames; those of a data set of features have none."""

    unrelated: str = 'another video'
    """What an error is called that finds a video without relation to the right one."""

    def __init__(
        self,
        data_root: str,
        ann_file: str = '',
        pipeline: Sequence[Mapping[str, Any] | Callable] = (),
        item: str = 'video',
        rows: tuple[int | None, int | None] | None = None,
        captions_per_video: int | None = None,
        bad_videos: str = 'error',
        test_mode: bool = False,
        **kwargs: Any,
    ) -> None:
        if bad_videos not in BAD_VIDEO_RULES:
            raise ValueError(f'bad_videos must be one of {BAD_VIDEO_RULES}; got {bad_videos!r}.')
        if item not in ITEMS:
            raise ValueError(f'item must be one of {ITEMS}; got {item!r}.')
        drawing = captions_per_video is not None or item == 'caption'
        if test_mode and (bad_videos == 'skip' or drawing):
            raise ValueError(
                "Evaluation ranks every video and caption: bad_videos='skip', item='caption' and "
                'captions_per_video are for training only.'
            )
        if item == 'caption' and captions_per_video not in (None, 1):
            raise ValueError("item='caption' has one caption per item; remove captions_per_video.")
        self.item = item
        self.rows = slice(*rows) if rows else slice(None)
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

    @classmethod
    def read_feature_width(cls, config: Mapping[str, Any]) -> int | None:
        """Return the width of the features that a data set of a config gives; None: it has none.

        Args:
            config: arguments of the class; `type` is passed over.
        """
        return None

    def imported_scores(self) -> tuple[Tensor, Tensor]:
        """Return the scores of another program, for `ImportedScores`.

        Returns:
            Those of N texts and M videos in the order of the data set, [N, M], and of videos and
            texts, [M, N], float32; mapped from a file where they can be.

        Raises:
            ValueError: if the data set has none.
        """
        raise ValueError(
            f'{self.ann_file} comes without scores; ImportedScores needs a FeatureDataset whose '
            'scores were imported, by tools/import_features.py --scores.'
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
        return read_list(Path(self.ann_file))

    def checked_entries(self) -> list[dict[str, Any]]:
        """Read the annotation, and check all of it as training and evaluation do.

        Raises:
            AnnotationError: if there is no entry, or one is wrong; it names the entry.
        """
        rows = self._checked(slice(None))
        return [entry for _, entry in rows]

    def locate(
        self, files: VideoFiles, ids: Sequence[str], entries: Sequence[Mapping[str, Any]]
    ) -> dict[str, Path | None]:
        """Find videos in a folder.

        Args:
            files: the files of the folder.
            ids: all videos that the annotation lists.
            entries: those of them that have captions.

        Returns:
            The file of each video, by video id; None if it is missing.
        """
        paths = {entry['video_id']: files.folder / entry['video'] for entry in entries}
        return {key: path if path.is_file() else None for key, path in paths.items()}

    def relatives(self) -> Mapping[str, Mapping[str, Relation]]:
        """Say which videos resemble each other, so that errors can be counted by their kinds.

        Returns:
            By video id, the relations to other videos by theirs; by default there are none.
        """
        return {}

    @property
    def annotation_files(self) -> list[Path]:
        """The annotation files that exist."""
        files = [Path(self.ann_file), self.companion]
        return [file for file in files if file is not None and file.is_file()]

    @property
    def notes(self) -> dict[str, list[str]]:
        """What is odd in the annotation, with the ids concerned; a reader may have some."""
        return {}

    @property
    def video_source(self) -> str:
        """What says where the videos are, for messages: a folder, or a file that lists them."""
        return self.data_root

    def find_videos(self, entries: list[dict[str, Any]]) -> Sequence[str | Path | None]:
        """Return where the video of each entry should be, or None if it is not known."""
        return [os.path.join(self.data_root, entry['video']) for entry in entries]

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read, check and complete the entries."""
        entries = self._add_files([entry for _, entry in self._checked(self.rows)])
        for index, entry in enumerate(entries):
            entry['video_index'] = index
        if self.item == 'caption':
            entries = [
                dict(entry, captions=[caption])
                for entry in entries
                for caption in entry['captions']
            ]
        return [dict(entry, item_index=index) for index, entry in enumerate(entries)]

    def group_of(self, index: int) -> str:
        """Return the group of an item; an item without one is a group of its own."""
        info = self.get_data_info(index)
        return info.get('group', f'item {info["item_index"]}')

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on an item.

        Random transforms draw from `numpy.random.default_rng(results['item_seed'])`, which depends
        on seed, epoch and item alone, not on the loader's workers.

        Raises:
            VideoReadError: if the video cannot be read and must not be skipped.
            IndexError: if there is no such item; a `for` over the data set ends by it.
        """
        if not -len(self) <= idx < len(self):
            raise IndexError(f'There is no item {idx} among {len(self)}.')
        for replacement in range(len(self)):
            index = (idx + replacement) % len(self)
            info = self.get_data_info(index)
            info['item_seed'] = self.item_seed(info['item_index'])
            info['captions_per_video'] = self.captions_per_video
            packed = self.run_pipeline(info)
            if packed is not None:
                return packed
        raise VideoReadError(f'No video of {self.ann_file} could be read.')

    def item_seed(self, item_index: int) -> tuple[int, int, int]:
        """Return what the random draws of an item depend on: seed, epoch and item."""
        seed, epoch = self._seed_and_epoch.tolist()
        return seed, epoch, item_index

    def run_pipeline(self, info: dict[str, Any]) -> Any:
        """Run the pipeline on an entry.

        Args:
            info: the entry, with what its transforms require.

        Returns:
            The packed item, or None if the video cannot be read and may be skipped.

        Raises:
            VideoReadError: if it cannot be read and must not be skipped.
        """
        try:
            return self.pipeline(info)
        except Exception as error:
            if not is_read_error(error):
                raise
            self._handle_unreadable(info, error)
            return None

    def _checked(self, chosen: slice) -> list[tuple[int, dict[str, Any]]]:
        """Entries with the numbers of their rows, once they are right."""
        rows = list(enumerate(self.read_entries()))[chosen]
        if not rows:
            where = 'with a caption' if chosen == slice(None) else f'in its rows {chosen}'
            raise AnnotationError(f'{self.ann_file} lists no video {where}.')
        seen: set[str] = set()
        for row, entry in rows:
            check_entry(entry, f'{self.ann_file}, entry {row}', self.required_keys, seen)
        check_known([entry for _, entry in rows], self.ann_file)
        return rows

    def _add_files(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add `filename` to the entries; those whose video is missing are refused or left out."""
        found, missing = [], []
        for entry, path in zip(entries, self.find_videos(entries), strict=True):
            if path is not None and os.path.isfile(path):
                found.append(dict(entry, filename=str(path)))
            else:
                missing.append(entry)
        if missing:
            self._handle_missing(missing, len(entries))
        return found

    def _handle_missing(self, missing: list[dict[str, Any]], total: int) -> None:
        names = ', '.join(entry.get('video', entry['video_id']) for entry in missing[:3])
        names += ', ...' if len(missing) > 3 else ''
        text = (
            f'{len(missing)} of {total} videos of {self.ann_file} are missing: {names} (searched '
            f'in {self.video_source})'
        )
        if self.bad_videos == 'error' or len(missing) == total:
            raise FileNotFoundError(
                f'{text}. Put them there, correct the folder in the config, or train without them '
                "by bad_videos='skip' in the training data set."
            )
        print_log(f'{text}; they are left out.', logger='current', level=30)
        self._num_skipped += len(missing)

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


def is_read_error(error: Exception) -> bool:
    """Tell whether the file of a video is at fault, not the program.

    Decoders raise classes of their own, or a bare RuntimeError from their own code.
    """
    frames = list(traceback.walk_tb(error.__traceback__))
    raised_in = frames[-1][0].f_globals.get('__name__', '')
    packages = {type(error).__module__.split('.')[0], raised_in.split('.')[0]}
    return isinstance(error, (OSError, VideoReadError)) or bool(packages & DECODER_PACKAGES)
