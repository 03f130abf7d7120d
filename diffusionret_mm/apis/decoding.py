"""Decoding of videos by a config's own test pipeline, in processes that may crash."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.text_video import is_read_error
from diffusionret_mm.datasets.video_files import VideoFiles
from diffusionret_mm.datasets.video_reading import open_video, time_limit
from diffusionret_mm.storage.names import printable, why_not_a_file
from diffusionret_mm.storage.pool import run_in_parallel

Transforms = list[dict[str, Any]]
PathLike = str | os.PathLike[str]
# Files with reasons that a message lists.
LISTED = 20


def video_transforms(cfg: Config) -> Transforms:
    """Return the transforms of a config's test videos, as plain dicts.

    Args:
        cfg: config with a `test_dataloader`. Of `CacheInMemory` the transforms inside are taken:
            each video is decoded once.

    Raises:
        ValueError: if the config has none.
    """
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    if not dataset.get('pipeline'):
        raise ValueError(
            f'{cfg.filename or "The config"} has no test_dataloader.dataset.pipeline, which says '
            'how videos are decoded.'
        )
    plain = Config(dict(pipeline=dataset.pipeline)).to_dict()['pipeline']
    inside = (step['transforms'] if step['type'] == 'CacheInMemory' else [step] for step in plain)
    return list(chain.from_iterable(inside))


@dataclass(frozen=True)
class Listing:
    """Files that are to be read.

    Attributes:
        paths: absolute paths, sorted, each once.
        passed_over: what cannot be read as a file or a folder, with the reason, by path.
        other_files: how many files of the folders are not named like a video, by extension.
    """

    paths: list[str]
    passed_over: dict[str, str]
    other_files: str


def list_videos(source: PathLike | Sequence[PathLike]) -> Listing:
    """List files, and the videos of folders and their sub-folders, linked ones included.

    Args:
        source: folders and files, or one of them. Of a folder, files with another extension than
            that of a video are counted, and hidden ones passed over; files that are named here
            are taken, whatever their names.

    Raises:
        FileNotFoundError: if one of them does not exist.
        ValueError: if there is no video.
    """
    given = [source] if isinstance(source, str | os.PathLike) else source
    refuse_missing(given)
    paths, passed_over, others = set(), {}, []
    for path in sorted({os.path.abspath(each) for each in given}):
        reason = why_not_a_file(path)
        if reason:
            passed_over[path] = reason
        elif os.path.isdir(path):
            found = VideoFiles(path)
            paths.update(found.paths)
            passed_over |= found.passed_over
            others += [found.other_files] if found.other_files else []
        else:
            paths.add(path)
    listing = Listing(sorted(paths), passed_over, ', '.join(others))
    if not paths:
        names = ', '.join(printable(os.fspath(each)) for each in given)
        raise ValueError(f'{names}: there is no file named like a video.{describe(listing)}')
    return listing


def refuse_missing(paths: Iterable[PathLike]) -> None:
    """Refuse files and folders that do not exist.

    Raises:
        FileNotFoundError: if there is one; it names the first.
    """
    for path in map(os.path.abspath, paths):
        if not os.path.lexists(path):
            raise FileNotFoundError(f'{printable(path)} does not exist; give folders and files.')


def describe(listing: Listing) -> str:
    """Return what was passed over, one line per file; empty if nothing was."""
    text = '\nPassed over for their extensions: ' + listing.other_files
    lines = list_reasons(listing.passed_over)
    return (text if listing.other_files else '') + (f'\nPassed over:{lines}' if lines else '')


def list_reasons(reasons: Mapping[str, str]) -> str:
    """Return the first paths with their reasons, one line each, and how many more there are."""
    shown = list(reasons.items())[:LISTED]
    lines = [f'\n  {printable(path)}: {printable(reason)}' for path, reason in shown]
    more = len(reasons) - len(lines)
    return ''.join(lines) + (f'\n  and {more:,} more' if more > 0 else '')


def decode_in_parallel(
    transforms: Transforms,
    paths: Sequence[str],
    workers: int | None,
    show_progress: bool,
    timeout: float | Callable[[str], float] = time_limit,
    when_idle: Callable[[], None] | None = None,
) -> Generator[tuple[str, dict[str, Any] | None, str], None, None]:
    """Decode videos in processes; one that crashes its decoder or never ends is given up.

    Args:
        transforms: what `video_transforms` returns.
        paths: the files.
        workers: number of processes; None: one per CPU core.
        show_progress: whether to show a bar with rate and time left.
        timeout: seconds that the decoding of a video may take, or a function of its path.
        when_idle: what to do in each second in which no video is done.

    Yields:
        As they finish: path, the packed item, and what is wrong. The item is None if the video
        cannot be read; else what is wrong, if anything is, is the end of its file.
    """
    function = partial(decode_with_tail, pickle.dumps(transforms))
    title = 'videos' if show_progress else None
    results = run_in_parallel(function, paths, workers, title, VideoReadError, timeout, when_idle)
    for path, result, error in results:
        if result is None:
            yield path, None, error
        else:
            item, broken_tail = result
            yield path, {key: torch.from_numpy(value) for key, value in item.items()}, broken_tail


def decode(transforms: bytes, path: str) -> dict[str, np.ndarray]:
    """Decode a video, in a process of its own: it leaves torch with one thread.

    Args:
        transforms: what `video_transforms` returns, pickled.
        path: the file.

    Returns:
        frames [F, 3, H, W] uint8, frame_mask [F] bool and duration [] float64, the seconds until
        the last frame ends. They are arrays of numpy: tensors would go from process to process
        through open files.

    Raises:
        VideoReadError: if it cannot be read.
    """
    return decode_with_tail(transforms, path)[0]


def decode_with_tail(transforms: bytes, path: str) -> tuple[dict[str, np.ndarray], str]:
    """Decode a video as `decode`, and return what is wrong with the end of its file, if known."""
    name = Path(path).name
    # No transform reads the caption; the pipeline of a data set tokenises one.
    entry = dict(filename=path, video_id=name, video_index=0, captions=['video'])
    with named_read_errors():
        item = _pipeline(transforms)(entry)
        facts = item['data_samples'].metainfo
        duration = np.array(_duration(facts, path))
    frames = {key: item['inputs'][key].numpy() for key in ('frames', 'frame_mask')}
    return dict(frames, duration=duration), facts.get('broken_tail', '')


@contextmanager
def named_read_errors() -> Iterator[None]:
    """Raise a VideoReadError that names what was raised, if the file of a video is at fault."""
    try:
        yield
    except Exception as error:
        if not is_read_error(error):
            raise
        raise VideoReadError(f'{type(error).__name__}: {str(error).strip()[:300]}') from error


def _duration(facts: Mapping[str, Any], path: str) -> float:
    """Seconds of a video; transforms of mmaction do not tell."""
    if 'duration' in facts:
        return facts['duration']
    with open_video(path) as video:
        return video.end


@lru_cache(maxsize=4)
def _pipeline(transforms: bytes) -> Compose:
    # Threads of the parent process do not live on in this one, and OpenMP would wait for them.
    torch.set_num_threads(1)
    init_default_scope('mmaction')
    return Compose([TRANSFORMS.build(step) for step in pickle.loads(transforms)])


def max_words_of(transforms: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of tokens that the transforms make of a text, at most.

    Raises:
        ValueError: if they do not tokenise.
    """
    for step in transforms:
        if step['type'] == 'TokenizeCaptions':
            return TRANSFORMS.build(dict(step)).max_words
    raise ValueError(
        'The test pipeline of the config has no TokenizeCaptions, which says how long texts are.'
    )
