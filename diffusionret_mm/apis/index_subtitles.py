"""Reading of subtitles into a gallery that has the videos."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from mmengine.logging import print_log

from diffusionret_mm.apis.decoding import list_reasons
from diffusionret_mm.datasets.subtitles import Subtitles, find_subtitle_files, read_subtitles
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.search import Gallery, SubtitleWriter, VideoFile
from diffusionret_mm.storage.fingerprint import fingerprint_of, version_of_file
from diffusionret_mm.storage.pool import run_in_parallel

if TYPE_CHECKING:
    from diffusionret_mm.apis.inferencer import TextVideoInferencer

# A video, and the subtitle files beside it.
Task = tuple[str, tuple[str, ...]]


def index_subtitles(
    inferencer: TextVideoInferencer,
    gallery: Gallery,
    files: Mapping[str, VideoFile],
    is_wanted: bool,
    workers: int | None = None,
) -> None:
    """Read the subtitles of videos where the gallery does not have them as they are now.

    No video is decoded. What cannot be read is logged, and read again once the files change.

    Args:
        inferencer: says whether to show a bar, and how long a file may take.
        gallery: the gallery; of the files, those that it has as videos count.
        files: the files by path.
        is_wanted: whether to begin with subtitles; a gallery that has some goes on with them.
        workers: number of reading processes; None: one per CPU core.
    """
    if not is_wanted and not gallery.subtitles.exists():
        return
    start = time.perf_counter()
    beside = find_subtitle_files(files)
    have = {path: files[path] for path in gallery.paths() if path in files}
    sources = {path: source_of(file, beside.get(path, ())) for path, file in have.items()}
    known = gallery.subtitle_sources()
    new = [path for path, file in have.items() if known.get(file.key) != sources[path]]
    tasks = [(path, tuple(beside.get(path, ()))) for path in new]
    if not tasks:
        return
    title = 'subtitles' if inferencer.show_progress else None
    results = run_in_parallel(
        _read, tasks, workers, title, (), lambda task: time_limit(task[0], inferencer.time_limit)
    )
    problems, num_speaking = {}, 0
    with SubtitleWriter(gallery) as writer, closing(results):
        for (path, _), found, error in results:
            said = found or Subtitles(problems=(error,))
            writer.add(files[path], sources[path], said.lines)
            num_speaking += bool(said.lines)
            if said.problems:
                problems[path] = '; '.join(said.problems)
    seconds = time.perf_counter() - start
    incomplete = f' Not read in whole:{list_reasons(problems)}' if problems else ''
    print_log(
        f'Looked for the subtitles of {len(tasks):,} videos in {seconds:.1f} s; {num_speaking:,} '
        f'have lines.{incomplete}',
        logger='current',
    )


def source_of(video: VideoFile, beside: Sequence[str]) -> str:
    """Return a text that changes with a video and the subtitle files beside it.

    Args:
        video: the video.
        beside: paths of the files.
    """
    versions = [[os.path.basename(path), *_version(path)] for path in beside]
    return fingerprint_of([video.bytes, video.mtime_ns, versions])


def _version(path: str) -> tuple[int, int]:
    try:
        return version_of_file(path)
    except OSError:  # a link to nothing, or gone since the folder was listed
        return -1, -1


def _read(task: Task) -> Subtitles:
    return read_subtitles(*task)
