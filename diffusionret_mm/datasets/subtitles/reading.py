"""All subtitles of a video."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain

from diffusionret_mm.datasets.subtitles.lines import Subtitles
from diffusionret_mm.datasets.subtitles.parsing import read_subtitle_file
from diffusionret_mm.datasets.subtitles.tracks import read_subtitle_tracks

# Problems of a file that are told one by one.
LISTED = 3


def read_subtitles(video: str, files: Sequence[str]) -> Subtitles:
    """Read the files beside a video or, if there is none, the tracks inside.

    Args:
        video: the video.
        files: its subtitle files.

    Returns:
        All lines, of all languages, and a problem for each file that cannot be read in whole.
    """
    if not files:
        found = {video: read_subtitle_tracks(video)}
    else:
        found = {path: read_subtitle_file(path) for path in files}
    lines = chain.from_iterable(subtitles.lines for subtitles in found.values())
    problems = (
        f'{os.path.basename(path)}: {_summary(subtitles.problems)}'
        for path, subtitles in found.items()
        if subtitles.problems
    )
    return Subtitles(tuple(lines), tuple(problems))


def _summary(problems: Sequence[str]) -> str:
    more = len(problems) - LISTED
    return '; '.join(problems[:LISTED]) + (f'; and {more:,} more' if more > 0 else '')
