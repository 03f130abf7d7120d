"""Probe the videos of a data set, and go on where a killed run stopped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TextIO, cast

from diffusionret_mm.datasets.errors import AnnotationError, VideoReadError
from diffusionret_mm.datasets.manifest import Manifest, VideoRecord
from diffusionret_mm.datasets.video_probe import probe_video
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.storage.fingerprint import version_of_file
from diffusionret_mm.storage.pool import run_in_parallel

FileKey = tuple[str, int, int]


def probe_videos(
    files: Mapping[str, Path | None],
    folder: Path,
    manifest: Path,
    workers: int | None,
    seconds: float | None = None,
) -> tuple[dict[str, VideoRecord], int]:
    """Probe videos; those that did not change since the last run are known.

    Finished probes go line by line into a journal beside the manifest, so that a run that was
    killed continues. The caller deletes the journal (`journal_of`) once the manifest is written.

    Args:
        files: the file of each video, by video id; None if it is missing.
        folder: folder of the videos.
        manifest: the file that the results are meant for; the last run's is read if it is there.
        workers: number of processes; None: one per CPU core.
        seconds: how long a video may take, see `time_limit`; None: the default.

    Returns:
        Records by video id, and how many videos were probed now.
    """
    journal = journal_of(manifest)
    known = _known_records(manifest, journal)
    keys = {key: _file_key(path, folder) for key, path in files.items() if path is not None}
    unknown = list(dict.fromkeys(key for key in keys.values() if key not in known))
    num_known = len(set(keys.values())) - len(unknown)
    if num_known:
        print(f'{num_known:,} videos are known from an earlier run.')
    journal.parent.mkdir(parents=True, exist_ok=True)
    paths = {str(folder / key[0]): key for key in unknown}
    with journal.open('a', encoding='utf-8') as file:
        limit = partial(time_limit, seconds=seconds)
        results = run_in_parallel(
            probe_video, list(paths), workers, 'probing', VideoReadError, limit
        )
        for path, info, error in results:
            relative, size, mtime = paths[path]
            found = dict(status='unreadable', reason=error)
            if info is not None:
                values = dict(vars(info))
                found = dict(status='ok', reason=values.pop('broken_tail'), **values)
            record = VideoRecord(path=relative, bytes=size, mtime_ns=mtime, **found)
            _append(file, record)
            known[relative, size, mtime] = record
    missing = VideoRecord('missing', 'there is no such file')
    return {key: known[keys[key]] if key in keys else missing for key in files}, len(unknown)


def journal_of(manifest: Path) -> Path:
    """Return the journal that belongs to a manifest."""
    return manifest.with_name(f'.{manifest.name}.journal')


def _file_key(path: Path, folder: Path) -> FileKey:
    return str(path.relative_to(folder)), *version_of_file(path)


def _append(file: TextIO, record: VideoRecord) -> None:
    file.write(json.dumps(asdict(record)) + '\n')
    file.flush()


def _known_records(manifest: Path, journal: Path) -> dict[FileKey, VideoRecord]:
    records: list[VideoRecord] = []
    if manifest.is_file():
        try:
            records += Manifest.load(manifest).videos.values()
        except AnnotationError as error:
            print(f'The manifest of an earlier run is not used: {error}')
    if journal.is_file():
        records += _read_journal(journal.read_text(encoding='utf-8').splitlines())
    return {
        (record.path, cast(int, record.bytes), cast(int, record.mtime_ns)): record
        for record in records
        # What others than PyAV counted before is counted again.
        if record.path is not None and record.decoder in (None, 'pyav')
    }


def _read_journal(lines: Iterable[str]) -> list[VideoRecord]:
    """Read what is whole: the last line of a killed run may not be."""
    records = []
    for line in lines:
        try:
            records.append(VideoRecord(**json.loads(line)))
        except (json.JSONDecodeError, TypeError):
            continue
    return records
