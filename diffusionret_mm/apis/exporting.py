"""Hits of a search as clips, an edit decision list and a table."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_cutting import Cut, plan_cut, write_cut
from diffusionret_mm.datasets.video_reading import FramesChangedError, open_video
from diffusionret_mm.search import Hit, SearchResult
from diffusionret_mm.storage.files import open_atomically, written_beside
from diffusionret_mm.storage.names import printable

NAME_LENGTH = 40
FRAME_RATE = 25
COLUMNS = (
    *('query', 'rank', 'video', 'start', 'end'),
    *('similarity', 'generator', 'score', 'subtitle', 'clip'),
)


@dataclass(frozen=True)
class Clip:
    """A hit, and the file that was made of it.

    Args:
        hit: the hit.
        cut: the part of its video.
        path: the file.
    """

    hit: Hit
    cut: Cut
    path: Path


def export_hits(result: SearchResult, folder: str | os.PathLike[str]) -> list[str]:
    """Write the clips of the hits, `QUERY.edl` and `QUERY.csv` into a folder.

    A clip shows what the video shows from the start of the hit to its end. A whole video is
    copied as it is. Where both cuts fall on key frames, packets are copied; elsewhere frames are
    encoded in H.264 and sound in AAC. No file is overwritten: names that are taken get a number.

    Args:
        result: the results of a search.
        folder: the folder; it is made if it does not exist.

    Returns:
        Of each video that cannot be read, the reason.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = make_folder(folder)
    name = _name_of(result.query)
    clips, failures = [], []
    for hit in result.hits:
        try:
            clips.append(_write_clip(hit, folder, name))
        except VideoReadError as error:
            failures.append(printable(str(error)))
    _write_text(folder, f'{name}.edl', edit_decision_list(name, clips))
    _write_text(folder, f'{name}.csv', _table(result.query, clips))
    return failures


def make_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder for clips, if it does not exist.

    Raises:
        OSError: if it cannot be made or written.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path


def edit_decision_list(title: str, clips: Sequence[Clip]) -> str:
    """Return clips one after the other as a list in the form CMX 3600.

    Times are counted in frames, without frames dropped: those of a source at its own mean rate,
    those of the record at the rate of the first clip.

    Args:
        title: its title.
        clips: the clips.
    """
    lines = [f'TITLE: {title}', 'FCM: NON-DROP FRAME', '']
    rates = [_rate_of(clip.cut.source) for clip in clips]
    position = 0.0
    for number, (clip, rate) in enumerate(zip(clips, rates, strict=True), start=1):
        length = clip.cut.end - clip.cut.start
        source = [timecode(time, rate) for time in (clip.cut.start, clip.cut.end)]
        record = [timecode(time, rates[0]) for time in (position, position + length)]
        lines += [
            f'{number:03d}  AX       V     C        {" ".join(source + record)}',
            f'* FROM CLIP NAME: {printable(Path(clip.cut.source).name)}',
            f'* SOURCE FILE: {printable(clip.cut.source)}',
            '',
        ]
        position += length
    return '\n'.join(lines)


def timecode(seconds: float, rate: float) -> str:
    """Return a time as hours, minutes, seconds and frames, the number of the frame.

    Args:
        seconds: the time.
        rate: frames per second.

    Examples:
        >>> timecode(3725.52, 25)
        '01:02:05:13'
        >>> timecode(3600, 30000 / 1001)
        '00:59:56:12'
    """
    whole, frames = divmod(round(seconds * rate), max(1, round(rate)))
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f'{hour:02d}:{minute:02d}:{second:02d}:{frames:02d}'


def _write_clip(hit: Hit, folder: Path, name: str, is_counted: bool = False) -> Clip:
    cut = plan_cut(hit.video, hit.start, hit.end, is_counted)
    stem = f'{name}-{hit.rank:03d}-{_name_of(Path(hit.video).stem)}'
    path = _free(folder / f'{stem}{cut.suffix}')
    try:
        with written_beside(path) as temporary:
            write_cut(cut, temporary)
    except FramesChangedError:  # the file is damaged, or its packets promise too much
        return _write_clip(hit, folder, name, is_counted=True)
    return Clip(hit, cut, path)


def _table(query: str, clips: Sequence[Clip]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for clip in clips:
        hit, cut = clip.hit, clip.cut
        times = f'{cut.start:.3f}', f'{cut.end:.3f}'
        found = hit.similarity, hit.generator, hit.score, hit.subtitle
        writer.writerow([query, hit.rank, printable(hit.video), *times, *found, clip.path.name])
    return text.getvalue()


def _write_text(folder: Path, name: str, text: str) -> None:
    with open_atomically(_free(folder / name)) as file:
        file.write(text.encode())


def _free(path: Path) -> Path:
    """Return the path, with a number if there is such a file."""
    number, free = 2, path
    while os.path.lexists(free):
        number, free = number + 1, path.with_name(f'{path.stem}-{number}{path.suffix}')
    return free


def _name_of(text: str) -> str:
    """Return a name of a file that reads like a text."""
    return re.sub(r'\W+', '-', text).strip('-')[:NAME_LENGTH] or 'query'


def _rate_of(path: str) -> float:
    with open_video(path) as video:
        return video.fps or FRAME_RATE
