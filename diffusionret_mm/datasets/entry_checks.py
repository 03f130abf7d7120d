"""What an entry of an annotation must be, for preparation, training and evaluation alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.storage.names import is_utf8, is_visible, printable

MAX_SECONDS = 1e9  # of a video


def check_entry(entry: Any, where: str, required_keys: Sequence[str], seen: set[str]) -> None:
    """Refuse an entry that a data set cannot use.

    Args:
        entry: a video with its captions, as `TextVideoDataset.read_entries` gives it.
        where: file and number of the entry, for messages.
        required_keys: keys that it must have.
        seen: ids of the entries before it; that of this one is added.

    Raises:
        AnnotationError: if something is missing, of another kind, or out of range.
    """
    if not isinstance(entry, dict):
        raise AnnotationError(f'{where} must be an object: {entry!r:.200}.')
    for key in required_keys:
        if not entry.get(key):
            raise AnnotationError(f'{where}: "{key}" is missing or empty: {entry!r:.200}.')
    if not isinstance(entry['captions'], list):
        raise AnnotationError(f'{where}: "captions" must be a list: {entry!r:.200}.')
    for key in ('video_id', 'video'):
        if not isinstance(entry.get(key, ''), str) or not is_utf8(entry.get(key, '')):
            raise AnnotationError(f'{where}: "{key}" must be a text: {entry[key]!r:.200}.')
    if entry['video_id'] in seen:
        raise AnnotationError(f'{where}: video_id {entry["video_id"]!r} occurs twice.')
    seen.add(entry['video_id'])
    for number, caption in enumerate(entry['captions']):
        problem = _problem_of(caption)
        if problem:
            raise AnnotationError(
                f'{where}: caption {number} of video {entry["video_id"]!r} {problem}; '
                'remove it from the list, or the video if it has no other caption.'
            )
    _check_answers(entry, where)
    start, end = entry.get('start', 0), entry.get('end')
    if not _is_span(start, end):
        raise AnnotationError(
            f'{where}: video {entry["video_id"]!r} is to be cut from start {start!r} to end '
            f'{end!r}; both must be seconds, 0 <= start < end, or end null.'
        )


def check_known(entries: Sequence[Mapping[str, Any]], file: str) -> None:
    """Refuse answers that name a video that is not there.

    Args:
        entries: all entries of a split, each of them checked.
        file: the annotation file, for messages.

    Raises:
        AnnotationError: if a caption fits such a video; it names both.
    """
    known = {entry['video_id'] for entry in entries}
    for entry in entries:
        for number, fitting in enumerate(entry.get('answers', ())):
            unknown = sorted(set(fitting) - known)
            if unknown:
                raise AnnotationError(
                    f'{file}: caption {number} of video {entry["video_id"]!r} has the answer '
                    f'{unknown[0]!r}, which is none of the videos of this split.'
                )


def _check_answers(entry: Mapping[str, Any], where: str) -> None:
    if 'answers' not in entry:
        return
    answers, own = entry['answers'], entry['video_id']
    is_right = (
        isinstance(answers, list)
        and len(answers) == len(entry['captions'])
        and all(isinstance(fitting, list) and own in fitting for fitting in answers)
        and all(isinstance(video, str) for fitting in answers for video in fitting)
    )
    if not is_right:
        raise AnnotationError(
            f'{where}: "answers" must list, for each caption of video {own!r}, the ids of all '
            f'videos that it fits, {own!r} among them.'
        )


def _problem_of(caption: Any) -> str:
    """What is wrong with a caption; empty if nothing is."""
    if not isinstance(caption, str):
        return f'is {caption!r:.50}, not a text'
    if not is_utf8(caption):
        return f'holds half a character ({printable(caption):.50})'
    return '' if is_visible(caption) else 'is empty, or nothing of it can be seen'


def _is_span(start: Any, end: Any) -> bool:
    """Whether these are seconds of a video, from start to end; end may be None."""
    behind = MAX_SECONDS if end is None else end
    times = (start, behind)
    are_numbers = all(isinstance(t, int | float) and not isinstance(t, bool) for t in times)
    return are_numbers and 0 <= start < behind <= MAX_SECONDS
