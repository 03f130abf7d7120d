"""Which text belongs to which video."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusionret_mm.datasets.annotation_files import read_csv, read_json, read_text
from diffusionret_mm.features.importing.items import ImportFeaturesError

NUMBER = '#'  # between the id of a video and the number of a text of it
COLUMNS = ('text_id', 'video_id')


@dataclass(frozen=True)
class Pair:
    """A text and its video.

    Args:
        text: id of the text.
        video: id of the video.
        caption: the text itself, if it is known.
        group: videos that a `GroupSampler` keeps in one batch have the same; None: a group alone.
    """

    text: str
    video: str
    caption: str | None = None
    group: str | None = None


def pairs_of_ids(texts: Iterable[str], videos: Container[str]) -> list[Pair]:
    """Pair texts and videos by their ids.

    A text belongs to the video of the same id, or, with an id such as `video7#0`, to the one of
    what stands before the last `#`.

    Args:
        texts: ids of the texts.
        videos: ids of the videos.
    """
    return [Pair(key, key if key in videos else _before_number(key)) for key in texts]


def read_pairs(path: Path) -> list[Pair]:
    """Read a file of pairs.

    Args:
        path: .csv with the columns `text_id` and `video_id`, and `caption` and `group` if they are
            known; .json (a list) or .jsonl (one per line) of objects with these keys, or of
            annotations, `video_id` and `captions`, whose texts have the ids `VIDEO_ID#0`,
            `VIDEO_ID#1`, ...

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not valid.
        ImportFeaturesError: if a row has not what it needs; it names the row.
    """
    pairs = [pair for number, row in _rows(path) for pair in _of_row(row, f'{path}, {number}')]
    if not pairs:
        raise ImportFeaturesError(f'{path} has no pair.')
    seen: set[str] = set()
    for pair in pairs:
        if pair.text in seen:
            raise ImportFeaturesError(f'{path}: the text {pair.text!r} occurs twice.')
        seen.add(pair.text)
    return pairs


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix == '.csv':
        rows: Iterable[Any] = read_csv(path, *COLUMNS)
    elif path.suffix == '.jsonl':
        lines = [line for line in read_text(path).split('\n') if line.strip()]
        rows = [_parse(line, f'{path}, line {number}') for number, line in enumerate(lines, 1)]
    elif path.suffix == '.json':
        rows = read_json(path)
    else:
        raise ImportFeaturesError(f'{path} must be .csv, .json or .jsonl.')
    if not isinstance(rows, list):
        raise ImportFeaturesError(f'{path} must hold a list; it holds a {type(rows).__name__}.')
    return ((f'entry {number}', row) for number, row in enumerate(rows))


def _parse(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ImportFeaturesError(f'{where} is not valid JSON: {error}.') from error


def _of_row(row: Any, where: str) -> list[Pair]:
    if not isinstance(row, dict) or 'video_id' not in row:
        raise ImportFeaturesError(f'{where}: an object with "video_id" is expected: {row!r:.100}.')
    video, captions, group = str(row['video_id']), row.get('captions'), row.get('group')
    if isinstance(captions, list):
        return [
            Pair(f'{video}{NUMBER}{number}', video, str(caption), group)
            for number, caption in enumerate(captions)
        ]
    if 'text_id' not in row:
        raise ImportFeaturesError(f'{where}: "text_id" or "captions" is missing: {row!r:.100}.')
    caption = row.get('caption')
    return [Pair(str(row['text_id']), video, None if caption is None else str(caption), group)]


def _before_number(key: str) -> str:
    head, sign, number = key.rpartition(NUMBER)
    return head if sign and number.isdigit() else key
