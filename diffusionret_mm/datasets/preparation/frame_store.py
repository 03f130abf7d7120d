"""A store of the sampled frames of every video."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmengine.dataset import Compose

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.preparation.check import Preparation
from diffusionret_mm.datasets.transforms.stored_frames import (
    FORMAT_VERSION,
    FRAMES_FILE,
    INDEX_FILE,
    read_index,
    settings_of,
    version_of,
)
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.passport import resize_settings
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.fingerprint import fingerprint_of
from diffusionret_mm.storage.locks import locked
from diffusionret_mm.storage.names import printable
from diffusionret_mm.storage.pool import run_in_parallel

JOURNAL = '.journal'
# Kept by a killed run, for the next one to go on with.
PARTIAL_FILE = f'.{FRAMES_FILE}.partial'
Transforms = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Task:
    """A video and its place in the file."""

    video_id: str
    filename: str
    start: float
    end: float | None
    slot: int


def frame_transforms(
    num_frames: int,
    size: int | Sequence[int],
    mode: str = 'shortest',
    interpolation: str = 'bicubic',
    **options: str,
) -> list[dict[str, Any]]:
    """Return the transforms that `--frames` stands for.

    Args:
        num_frames: number of frames that `SampleVideoFrames` takes.
        size: side of a frame in pixels, or height and width, for `CLIPResizeCrop`.
        mode: as of `CLIPResizeCrop`.
        interpolation: as of `CLIPResizeCrop`.
        **options: others of `SampleVideoFrames`, such as its rule.
    """
    sample = dict(type='SampleVideoFrames', num_frames=num_frames, **options)
    resize = dict(type='CLIPResizeCrop', **resize_settings(size, mode, interpolation))
    return [dict(type='DecodeVideo', sample=sample), resize]


def store_frames(
    preparation: Preparation,
    store: Path,
    transforms: Transforms,
    workers: int | None = None,
    seconds: float | None = None,
) -> str:
    """Run transforms on every readable video, and store the frames for `LoadStoredFrames`.

    The frames lie uncompressed in one file, a slot of equal size for each video. Where a video has
    fewer frames, the rest of its slot is a hole, which takes no space. The folder is complete once
    its index is there. A run that was killed continues; nothing is done if the store is there
    already.

    Args:
        preparation: the data set, its videos checked.
        store: folder to write.
        transforms: from opening a video to frames of equal size; none may draw at random.
        workers: number of processes; None: one per CPU core.
        seconds: how long a video may take, see `time_limit`; None: the default.

    Returns:
        What was stored, as a sentence.

    Raises:
        ValueError: if a transform draws at random, or frames differ in size.
        OSError: if the disk is too small.
        RuntimeError: if another process writes the same store.
    """
    settings = settings_of(transforms)
    tasks = _tasks(preparation)
    if not tasks:
        return 'No video is readable: no frames were stored.'
    versions = {task.video_id: version_of(task.filename, vars(task)) for task in tasks}
    fingerprint = fingerprint_of([FORMAT_VERSION, settings, versions])
    if (store / INDEX_FILE).is_file() and read_index(store)['fingerprint'] == fingerprint:
        return f'The frames of {len(tasks):,} videos are in {store} already.'
    with locked(store):
        limit = partial(_time_limit, seconds)
        counts, failed = _start(store, fingerprint, tasks, transforms, limit)
        _store_rest(store, tasks, transforms, workers, limit, counts, failed)
        videos = {
            task.video_id: dict(
                slot=task.slot, count=counts[task.video_id], **versions[task.video_id]
            )
            for task in tasks
            if task.video_id in counts
        }
        index = dict(fingerprint=fingerprint, transforms=settings, videos=videos, failed=failed)
        _finish(store, index)
    return _summary(store, counts, failed)


def _store_rest(
    store: Path,
    tasks: list[_Task],
    transforms: Transforms,
    workers: int | None,
    limit: Callable[[_Task], float],
    counts: dict[str, int],
    failed: dict[str, str],
) -> None:
    """Store videos, and enter each into the journal, and into `counts` or `failed`."""
    work = partial(_store_one, str(store / PARTIAL_FILE), json.dumps(list(transforms)))
    todo = [task for task in tasks if task.video_id not in counts | failed]
    with (store / JOURNAL).open('a', encoding='utf-8') as file:
        results = run_in_parallel(work, todo, workers, 'storing frames', VideoReadError, limit)
        for task, count, error in results:
            file.write(json.dumps([task.video_id, count, error]) + '\n')
            file.flush()
            if error:
                failed[task.video_id] = error
            else:
                counts[task.video_id] = count


def _tasks(preparation: Preparation) -> list[_Task]:
    """The readable videos that have captions."""
    spans = {
        entry['video_id']: (entry.get('start') or 0.0, entry.get('end'))
        for content in preparation.contents
        for entry in content.entries
    }
    paths = {video_id: preparation.manifest.video_path(video_id) for video_id in spans}
    found = [video_id for video_id in spans if paths[video_id] is not None]
    return [
        _Task(video_id, str(paths[video_id]), *spans[video_id], slot)
        for slot, video_id in enumerate(found)
    ]


def _start(
    store: Path,
    fingerprint: str,
    tasks: list[_Task],
    transforms: Transforms,
    limit: Callable[[_Task], float],
) -> tuple[dict[str, int], dict[str, str]]:
    """Return what an earlier run has done; if it was for other frames, start anew."""
    journal, frames = store / JOURNAL, store / PARTIAL_FILE
    if journal.is_file() and frames.is_file():
        first, *lines = journal.read_text(encoding='utf-8').splitlines() or ['']
        if first == fingerprint:
            print(f'The frames of {len(lines):,} videos are stored from an earlier run.')
            return _read_journal(lines)
    store.mkdir(parents=True, exist_ok=True)
    shape = (len(tasks), *_slot_shape(tasks, transforms, limit))
    size = int(np.prod(shape))
    print(f'The frames take up to {size / 1e9:.2f} GB in {store}.')
    frames.unlink(missing_ok=True)
    free = shutil.disk_usage(store).free
    if free < size:
        raise OSError(
            f'{store} has {free / 1e9:.2f} GB left; the frames need {size / 1e9:.2f} GB. '
            'Give another folder with --out, fewer frames or a smaller size.'
        )
    np.lib.format.open_memmap(frames, mode='w+', dtype=np.uint8, shape=shape)
    journal.write_text(fingerprint + '\n', encoding='utf-8')
    return {}, {}


def _finish(store: Path, index: Mapping[str, Any]) -> None:
    """Give the frames and their index their names, never an index beside the frames of another."""
    with (store / PARTIAL_FILE).open('r+b') as file:
        os.fsync(file.fileno())
    (store / INDEX_FILE).unlink(missing_ok=True)
    (store / PARTIAL_FILE).replace(store / FRAMES_FILE)
    write_json(store / INDEX_FILE, dict(format_version=FORMAT_VERSION, **index))
    (store / JOURNAL).unlink()


def _read_journal(lines: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    counts, failed = {}, {}
    for line in lines:
        try:
            video_id, count, error = json.loads(line)
        except ValueError:  # the last line of a killed run
            continue
        if error:
            failed[video_id] = error
        else:
            counts[video_id] = count
    return counts, failed


def _slot_shape(
    tasks: list[_Task], transforms: Transforms, limit: Callable[[_Task], float]
) -> tuple[int, ...]:
    """Shape [F, H, W, 3] of the frames of a video, from the first that can be read."""
    work, error = partial(_shape_of, json.dumps(list(transforms))), ''
    for _, shape, reason in run_in_parallel(work, tasks, 1, None, VideoReadError, limit):
        if shape is not None:
            return shape
        error = reason
    raise VideoReadError(f'None of {len(tasks)} videos can be read. {error}')


def _shape_of(transforms: str, task: _Task) -> tuple[int, ...]:
    results = _run(transforms, task)
    return results['num_frames'], *results['imgs'][0].shape


def _time_limit(seconds: float | None, task: _Task) -> float:
    return time_limit(task.filename, seconds)


def _store_one(frames: str, transforms: str, task: _Task) -> int:
    """Write the frames of a video into its slot, and return how many there are."""
    images = np.stack(_run(transforms, task)['imgs'])
    target = np.load(frames, mmap_mode='r+')
    if images.shape[1:] != target.shape[2:]:
        raise ValueError(
            f'The frames of {task.filename} have the shape {images.shape[1:]}, those of others '
            f'{target.shape[2:]}; the transforms must bring all to one size.'
        )
    target[task.slot, : len(images)] = images
    return len(images)


def _run(transforms: str, task: _Task) -> dict[str, Any]:
    results = {key: value for key, value in vars(task).items() if key != 'slot'}
    return _build(transforms)(results)


@lru_cache(maxsize=1)
def _build(transforms: str) -> Compose:
    return Compose([TRANSFORMS.build(transform) for transform in json.loads(transforms)])


def _summary(store: Path, counts: Mapping[str, int], failed: Mapping[str, str]) -> str:
    megabytes = (store / FRAMES_FILE).stat().st_blocks * 512 / 1e6  # holes do not count
    lines = [
        f'{sum(counts.values()):,} frames of {len(counts):,} videos are in {store} '
        f'({megabytes:,.1f} MB).'
    ]
    lines += [
        printable(f'{video_id} could not be read: {error}') for video_id, error in failed.items()
    ]
    return '\n'.join(lines)
