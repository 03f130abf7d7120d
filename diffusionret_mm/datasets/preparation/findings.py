"""The findings of a check, as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from diffusionret_mm.datasets.preparation.check import Preparation
from diffusionret_mm.datasets.preparation.contents import Contents, shared_videos
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.storage.names import printable

COLUMNS = ('listed', 'no caption', 'videos', 'expected', 'captions', 'distinct')
VIDEO_COLUMNS = ('found', 'missing', 'unreadable', 'broken tail')
NUM_EXAMPLES = 3


def format_findings(preparation: Preparation) -> str:
    """Return a table of the splits and what is odd about them.

    Args:
        preparation: what a check found.
    """
    titles = COLUMNS if preparation.manifest is None else COLUMNS + VIDEO_COLUMNS
    columns = [label('split'), *map(Column, titles)]
    rows = [_row(preparation, content) for content in preparation.contents]
    title = f'{preparation.dataset}: what the annotation files list'
    lines = [format_table(columns, rows, title), '']
    lines += _file_remarks(preparation)
    for content in preparation.contents:
        remarks = map(printable, _remarks(preparation, content))
        lines += [f'{content.split.name}: {remark}' for remark in remarks]
    lines += map(printable, _duplicate_remarks(preparation))
    return '\n'.join([*lines, *_passed_over(preparation)])


def shorten(names: Sequence[str]) -> str:
    """Return the first few names and how many more there are.

    Args:
        names: names.

    Examples:
        >>> shorten(['a', 'b', 'c', 'd', 'e'])
        'a, b, c and 2 more'
    """
    more = len(names) - NUM_EXAMPLES
    shown = ', '.join(map(printable, names[:NUM_EXAMPLES]))
    return shown + (f' and {more:,} more' if more > 0 else '')


def _row(preparation: Preparation, content: Contents) -> list[str | int | None]:
    split = content.split
    if not content.ids:
        blanks = 2 + (len(VIDEO_COLUMNS) if preparation.manifest else 0)
        return [split.name, 'no file', None, None, split.videos, *[None] * blanks]
    row: list[str | int | None] = [split.name, len(content.ids)]
    if content.entries:
        captions = content.captions
        row += [len(content.ids) - len(content.entries), len(content.entries), split.videos]
        row += [len(captions), len(set(captions))]
    else:
        row += ['?', len(content.ids), split.videos, '?', '?']
    if preparation.manifest is not None:
        records = preparation.records(content)
        status = Counter(record.status for record in records)
        tails = sum(record.status == 'ok' and bool(record.reason) for record in records)
        row += [len(records) - status['missing'], status['missing'], status['unreadable'], tails]
    return row


def _file_remarks(preparation: Preparation) -> Iterator[str]:
    for content in preparation.contents:
        if not content.ids:
            yield f'{content.split.name}: {content.missing_file} is not there.'
        elif content.missing_file:
            yield (
                f'{content.split.name}: {content.missing_file} is not there, so its captions are '
                'unknown.'
            )
    if preparation.manifest is None:
        yield 'No folder of videos was given: only the annotation files were checked.'


def _remarks(preparation: Preparation, content: Contents) -> Iterator[str]:
    yield from _count_remarks(content)
    for what, ids in content.notes.items():
        yield f'{len(ids):,} {what}: {shorten(ids)}'
    listed_only = sorted(set(content.ids) - set(content.needed))
    if listed_only:
        yield f'{len(listed_only):,} listed videos have no caption: {shorten(listed_only)}'
    if preparation.manifest is None:
        return
    videos = {video_id: preparation.manifest.videos[video_id] for video_id in content.needed}
    missing = [video_id for video_id, record in videos.items() if record.status == 'missing']
    if missing:
        yield f'{len(missing):,} videos are missing: {shorten(missing)}'
    for video_id, start, duration in preparation.outside(content):
        yield f'{video_id} is to be cut from second {start:g} on, and has {duration:g} seconds.'
    for video_id, record in videos.items():
        if record.status == 'unreadable':
            yield f'{record.path} ({video_id}) is unreadable: {record.reason}'
        elif record.status == 'ok' and record.reason:
            yield f'{record.path} ({video_id}) is readable, but {record.reason}'


def _count_remarks(content: Contents) -> Iterator[str]:
    split, found = content.split, len(content.needed)
    if found and split.videos not in (None, found):
        why = split.explanations.get(found, 'Are the files complete, and those of this split?')
        yield f'{found:,} videos, where {split.videos:,} are expected. {why}'
    if content.entries:
        captions = content.captions
        if split.captions not in (None, len(captions)):
            yield f'{len(captions):,} captions, where {split.captions:,} are expected.'
        if split.distinct not in (None, len(set(captions))):
            yield (
                f'{len(set(captions)):,} distinct captions, where {split.distinct:,} are expected.'
            )


def _duplicate_remarks(preparation: Preparation) -> Iterator[str]:
    pairs = shared_videos(preparation.contents)
    if not any(ids for _, _, ids, _ in pairs):
        yield 'No video is in two splits.'
    for one, other, ids, captions in pairs:
        if ids:
            yield f'{len(ids):,} videos are in {one} and in {other}: {shorten(ids)}'
        if captions:
            yield (
                f'{len(captions):,} captions are in {one} and in {other}, word for word: '
                f'{shorten([repr(caption[:60]) for caption in captions])}'
            )
    for name, paths in (preparation.ambiguous or {}).items():
        yield f'{len(paths)} files are called {name}; {paths[0]} is used.'


def _passed_over(preparation: Preparation) -> Iterator[str]:
    for path, reason in preparation.passed_over.items():
        yield f'{printable(path)} is passed over: {reason}.'
    if preparation.other_files:
        yield f'Files that are not named like a video: {preparation.other_files}.'
