"""Render the whole data set "shapes" into a folder."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from diffusionret_mm.datasets.shapes.captions import describe_scene
from diffusionret_mm.datasets.shapes.drawing import draw_twins
from diffusionret_mm.datasets.shapes.rendering import render_frames, write_video
from diffusionret_mm.datasets.shapes.scenes import Scene
from diffusionret_mm.storage.files import write_json
from diffusionret_mm.storage.folders import build_folder
from diffusionret_mm.storage.locks import locked
from diffusionret_mm.storage.progress import progress_bar

# To be raised when the same settings would give other clips or captions than before.
FORMAT_VERSION = 1
DEFAULT_NUM_SCENES: Mapping[str, int] = {'train': 700, 'val': 40, 'test': 100}


@dataclass(frozen=True)
class Clip:
    """One video of the data set.

    Attributes:
        video_id: its name, for instance `'test_0003_reversed'`.
        group: the name it shares with its two twins, `'test_0003'`.
        scene: what it shows.
        captions: what it is described with.
    """

    video_id: str
    group: str
    scene: Scene
    captions: tuple[str, ...]

    @property
    def file(self) -> str:
        """Path of the video below the data root."""
        return f'videos/{self.video_id}.mp4'


def render_shapes(
    data_root: str | Path,
    *,
    seed: int = 0,
    num_scenes: Mapping[str, int] = DEFAULT_NUM_SCENES,
    captions_per_video: int = 4,
    workers: int | None = None,
) -> None:
    """Render the data set "shapes", unless it is there already.

    Writes `videos/{split}_{scene:04d}_{original|reversed|changed}.mp4`, one annotation file
    `{split}.json` per split, and `meta.json`. The folder appears only when it is complete;
    processes that start at the same time wait for the first one. The same settings give the same
    files, with any number of workers.

    Args:
        data_root: the folder; it must be absent, empty, or hold this data set.
        seed: seed of all random draws, at least 0.
        num_scenes: number of scenes of the splits `'train'`, `'val'` and `'test'`; each
            scene makes three clips.
        captions_per_video: captions of each clip, 1 to 8.
        workers: number of threads. Default: number of CPU cores.

    Raises:
        ValueError: if a setting is out of range, or the folder holds the data set with others.
        FileExistsError: if the folder holds something else.
        OSError: if the folder cannot be written.
    """
    root = Path(data_root).expanduser().resolve()
    settings = _check_settings(seed, num_scenes, captions_per_video)
    if _is_complete(root, settings):
        return
    with _locked(root):
        if _is_complete(root, settings):
            return
        with build_folder(root) as scratch:
            _render_all(scratch, root, settings, workers or os.cpu_count() or 1)


def draw_clips(
    seed: int, num_scenes: Mapping[str, int], captions_per_video: int
) -> dict[str, list[Clip]]:
    """Draw all scenes and captions of the data set, without rendering them.

    Args:
        seed: seed of all random draws.
        num_scenes: number of scenes per split.
        captions_per_video: captions of each clip.

    Returns:
        The clips of each split, twins next to each other. No scene occurs twice.
    """
    rng = np.random.default_rng(seed)
    used: set[str] = set()
    clips: dict[str, list[Clip]] = {split: [] for split in num_scenes}
    for split, count in num_scenes.items():
        for number in range(count):
            group = f'{split}_{number:04d}'
            for twin, scene in draw_twins(rng, used).items():
                captions = tuple(describe_scene(scene, captions_per_video, rng))
                clips[split].append(Clip(f'{group}_{twin}', group, scene, captions))
    return clips


def _check_settings(
    seed: int, num_scenes: Mapping[str, int], captions_per_video: int
) -> dict[str, Any]:
    """Bring the settings into the form in which meta.json keeps them."""
    if set(num_scenes) != set(DEFAULT_NUM_SCENES) or min(num_scenes.values()) < 1:
        raise ValueError(
            "num_scenes must give a number of at least 1 for each of 'train', 'val' and 'test'; "
            f'got {dict(num_scenes)}.'
        )
    if seed < 0:
        raise ValueError(f'seed must be 0 or larger; got {seed}.')
    return {
        'format_version': FORMAT_VERSION,
        'seed': int(seed),
        'num_scenes': {split: int(num_scenes[split]) for split in DEFAULT_NUM_SCENES},
        'captions_per_video': int(captions_per_video),
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
    arguments = (settings['seed'], settings['num_scenes'], settings['captions_per_video'])
    clips = draw_clips(*arguments)
    total = sum(len(split) for split in clips.values())
    print(f"Rendering the data set 'shapes' ({total} videos) into {root}", flush=True)
    (scratch / 'videos').mkdir(parents=True)
    _render_videos(scratch, [clip for split in clips.values() for clip in split], workers)
    for split, members in clips.items():
        write_json(scratch / f'{split}.json', [_annotation(clip) for clip in members], indent=1)
    counts = {
        split: {'videos': len(members), 'captions': sum(len(clip.captions) for clip in members)}
        for split, members in clips.items()
    }
    write_json(scratch / 'meta.json', {'settings': settings, 'counts': counts}, indent=1)
    megabytes = sum(file.stat().st_size for file in scratch.rglob('*')) / 1e6
    seconds = time.perf_counter() - start
    print(f'Rendered {total} videos in {seconds:.1f} s, {megabytes:.1f} MB', flush=True)


def _render_videos(scratch: Path, clips: list[Clip], workers: int) -> None:
    # Threads: OpenCV draws and encodes outside the interpreter's lock, while a process would spend
    # longer on importing torch than on its share of the work.
    progress = progress_bar(len(clips), 'shapes', 'video')
    with progress, ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(partial(_render_clip, scratch), clips):
            progress.update()


def _render_clip(scratch: Path, clip: Clip) -> None:
    write_video(scratch / clip.file, render_frames(clip.scene), clip.scene.staging.frame_rate)


def _annotation(clip: Clip) -> dict[str, Any]:
    return {
        'video_id': clip.video_id,
        'video': clip.file,
        'captions': list(clip.captions),
        'group': clip.group,
    }
