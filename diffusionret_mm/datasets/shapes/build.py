"""Render the whole data set "shapes" into a folder."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffusionret_mm.datasets.shapes.clips import (
    Clip,
    answers_to_vague_captions,
    draw_clips,
    draw_shifted_clips,
)
from diffusionret_mm.datasets.shapes.rendering import render_frames, write_video
from diffusionret_mm.datasets.shapes.shifts import SHIFTS
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.folders import build_folder
from diffusionret_mm.storage.locks import locked
from diffusionret_mm.storage.progress import progress_bar

# To be raised when the same settings would give other clips or captions than before.
FORMAT_VERSION = 2
DEFAULT_NUM_SCENES: Mapping[str, int] = {'train': 700, 'val': 140, 'test': 170}


def render_shapes(
    data_root: str | Path,
    *,
    seed: int = 0,
    num_scenes: Mapping[str, int] | None = None,
    captions_per_video: int = 4,
    shift: str | None = None,
    workers: int | None = None,
) -> None:
    """Render the data set "shapes", unless it is there already.

    Writes `videos/{split}_{scene:04d}_{original|reversed|changed}.mp4`, `{split}.json` and
    `{split}_vague.json` per split, and `meta.json`. Each caption of the former fits one video; the
    latter have captions without colours or without shapes, and the ids of all videos of the split
    that each fits. The folder appears only when it is complete; processes that start at the same
    time wait for the first one. The same settings give the same files, with any number of workers.

    Args:
        data_root: the folder; it must be absent, empty, or hold this data set.
        seed: seed of all random draws, at least 0.
        num_scenes: number of scenes of the splits 'train', 'val' and 'test', or of 'test' alone if
            there is a shift; each scene makes three clips. Default: 700, 140 and 170.
        captions_per_video: captions of each clip, 1 to 8.
        shift: one of `SHIFTS`, for a test set of other clips than training has; None for the data
            set itself. No scene of it is in the data set of the same seed and default size.
        workers: number of threads. Default: number of CPU cores.

    Raises:
        ValueError: if a setting is out of range, or the folder holds the data set with others.
        FileExistsError: if the folder holds something else.
        OSError: if the folder cannot be written.
    """
    root = Path(data_root).expanduser().resolve()
    settings = _check_settings(seed, num_scenes, captions_per_video, shift)
    if _is_complete(root, settings):
        return
    with _locked(root):
        if _is_complete(root, settings):
            return
        with build_folder(root) as scratch:
            _render_all(scratch, root, settings, workers or os.cpu_count() or 1)


def read_clips(data_root: str | Path) -> dict[str, list[Clip]]:
    """Draw the clips of a data set that is there once more, with what happens in them.

    Args:
        data_root: folder of the data set.

    Returns:
        The clips of each split, in the order of the annotation.

    Raises:
        ValueError: if the captions in the folder are those of other clips.
    """
    root = Path(data_root)
    clips = _draw(json.loads((root / 'meta.json').read_text(encoding='utf-8'))['settings'])
    for split, members in clips.items():
        entries = json.loads((root / f'{split}.json').read_text(encoding='utf-8'))
        if entries != [_annotation(clip) for clip in members]:
            raise ValueError(
                f"{root} holds a data set 'shapes' of another version of this program: its "
                f'{split}.json has other clips. Delete the folder to have it rendered again.'
            )
    return clips


def _check_settings(
    seed: int, num_scenes: Mapping[str, int] | None, captions_per_video: int, shift: str | None
) -> dict[str, Any]:
    """Bring the settings into the form in which meta.json keeps them."""
    if shift is not None and shift not in SHIFTS:
        raise ValueError(f'shift must be one of {tuple(SHIFTS)}; got {shift!r}.')
    splits = tuple(DEFAULT_NUM_SCENES) if shift is None else ('test',)
    scenes = num_scenes or {split: DEFAULT_NUM_SCENES[split] for split in splits}
    if set(scenes) != set(splits) or min(scenes.values()) < 1:
        names = ', '.join(map(repr, splits))
        raise ValueError(
            f'num_scenes must give a number of at least 1 for each of {names}; got {dict(scenes)}.'
        )
    if seed < 0:
        raise ValueError(f'seed must be 0 or larger; got {seed}.')
    return {
        'format_version': FORMAT_VERSION,
        'seed': int(seed),
        'num_scenes': {split: int(scenes[split]) for split in splits},
        'captions_per_video': int(captions_per_video),
        'shift': shift,
    }


def _is_complete(root: Path, settings: dict[str, Any]) -> bool:
    """Whether the folder holds the data set; raises if it holds anything else."""
    meta_file = root / 'meta.json'
    if not meta_file.is_file():
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise FileExistsError(
                f"{root} exists and is not a 'shapes' data set (it has no meta.json). Nothing was "
                'changed. Choose another data_root, or empty this one.'
            )
        return False
    found = json.loads(meta_file.read_text(encoding='utf-8')).get('settings', {})
    for name, wanted in settings.items():
        if found.get(name) != wanted:
            raise ValueError(
                f"{root} holds the data set 'shapes' with {name}={found.get(name)}, but "
                f'{name}={wanted} was asked for. Keep to what is there, choose another data_root, '
                'or delete this folder to have it rendered again.'
            )
    return True


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of the folder, a file beside it; waits while another process holds it."""
    with ExitStack() as stack:
        try:
            if root.is_mount():
                raise OSError(errno.EBUSY, 'the folder is a mount point')
            stack.enter_context(locked(root, on_wait=print))
        except OSError as error:
            raise OSError(
                error.errno,
                f"Cannot render the data set 'shapes' into {root}: {error.strerror}. The folder "
                f'beside it, {root.parent}, must be writable. Choose a data_root below a folder of '
                'your own.',
            ) from error
        yield


def _render_all(scratch: Path, root: Path, settings: dict[str, Any], workers: int) -> None:
    """Render videos and annotations into `scratch`; `root` is only named in messages."""
    start = time.perf_counter()
    clips = _draw(settings)
    total = sum(len(split) for split in clips.values())
    print(f"Rendering the data set 'shapes' ({total} videos) into {root}", flush=True)
    (scratch / 'videos').mkdir(parents=True)
    render = partial(_render_clip, scratch, settings)
    _render_videos([clip for split in clips.values() for clip in split], render, workers)
    for split, members in clips.items():
        write_json(scratch / f'{split}.json', [_annotation(clip) for clip in members], indent=1)
        write_json(scratch / f'{split}_vague.json', _vague_annotations(members), indent=1)
    counts = {
        split: {'videos': len(members), 'captions': sum(len(clip.captions) for clip in members)}
        for split, members in clips.items()
    }
    write_json(scratch / 'meta.json', {'settings': settings, 'counts': counts}, indent=1)
    megabytes = sum(file.stat().st_size for file in scratch.rglob('*')) / 1e6
    seconds = time.perf_counter() - start
    print(f'Rendered {total} videos in {seconds:.1f} s, {megabytes:.1f} MB', flush=True)


def _draw(settings: Mapping[str, Any]) -> dict[str, list[Clip]]:
    """Draw the clips of each split."""
    seed, captions, shift = (settings[key] for key in ('seed', 'captions_per_video', 'shift'))
    if shift is None:
        return draw_clips(seed, settings['num_scenes'], captions)
    others = draw_clips(seed, DEFAULT_NUM_SCENES, captions)
    count = settings['num_scenes']['test']
    return {'test': draw_shifted_clips(shift, seed, count, captions, apart_from=others)}


def _render_videos(
    clips: Sequence[Clip], render: Callable[[int, Clip], None], workers: int
) -> None:
    # Threads: OpenCV draws and encodes outside the interpreter's lock, while a process would spend
    # longer on importing torch than on its share of the work.
    progress = progress_bar(len(clips), 'shapes', 'video')
    with progress, ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(render, range(len(clips)), clips):
            progress.update()


def _render_clip(scratch: Path, settings: Mapping[str, Any], number: int, clip: Clip) -> None:
    frames = render_frames(clip.scene)
    if settings['shift'] is not None:
        frames = SHIFTS[settings['shift']].film(
            frames, np.random.default_rng((settings['seed'], number))
        )
    write_video(scratch / clip.file, frames, clip.scene.staging.frame_rate)


def _annotation(clip: Clip) -> dict[str, Any]:
    return {
        'video_id': clip.video_id,
        'video': clip.file,
        'captions': list(clip.captions),
        'group': clip.group,
    }


def _vague_annotations(clips: Sequence[Clip]) -> list[dict[str, Any]]:
    return [
        _annotation(clip) | {'captions': list(clip.vague_captions), 'answers': answers}
        for clip, answers in zip(clips, answers_to_vague_captions(clips), strict=True)
    ]
