"""The index of the pooled vectors, in segments that are made and searched one by one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from diffusionret_mm.search.schema import POOLED
from diffusionret_mm.search.tables import FILE_ROWS, Table, readable

if TYPE_CHECKING:
    import lance

# Up to so many vectors are compared one by one; with more, inverted lists are made.
EXACT_ROWS = 50_000
INDEX_TYPE = 'IVF_RQ'
# Vectors behind the index, compared one by one, before it takes them up.
ROWS_BEHIND = 4_096
# The lists are made anew once there are so many times more, or fewer, vectors per list.
RETRAIN_FACTOR = 4
# Vectors of a segment, about: a larger table has several. A segment has whole fragments.
SEGMENT_ROWS = FILE_ROWS
INDEX = 'pooled_idx'
METRIC = 'dot'


@dataclass(frozen=True)
class Segment:
    """A part of the index that is built, stored and searched alone.

    Args:
        id: its id.
        lists: number of its inverted lists.
        fragments: numbers of the table's fragments whose vectors it has.
    """

    id: str
    lists: int
    fragments: frozenset[int]


@dataclass(frozen=True)
class Part:
    """Rows that the first step of a search looks through together.

    Args:
        segment: id of a segment of the index; None: vectors are compared one by one.
        lists: number of lists of the segment.
        fragments: fragments whose vectors are compared one by one; None: all of the table.
    """

    segment: str | None = None
    lists: int = 0
    fragments: tuple[int, ...] | None = None


def parts_of(dataset: lance.LanceDataset) -> list[Part]:
    """Divide a version of the table of spans into parts: each row is in one of them.

    Returns:
        A part per segment of the index, and the rows behind the index as one more.
    """
    segments = segments_of(dataset)
    if not segments:
        return [Part()]
    behind = _behind([each.fragment_id for each in dataset.get_fragments()], segments)
    parts = [Part(segment.id, segment.lists) for segment in segments]
    return [*parts, Part(fragments=tuple(behind))] if behind else parts


def segments_of(dataset: lance.LanceDataset) -> list[Segment]:
    """Return the segments of the index, the oldest first; none if there is no index."""
    found = [index for index in dataset.describe_indices() if index.name == INDEX]
    if not found:
        return []
    statistics: dict[str, Any] = dataset.stats.index_stats(INDEX)
    lists = {each['uuid']: each['num_partitions'] for each in statistics['indices']}
    return [
        Segment(each.uuid, lists[each.uuid], frozenset(each.fragment_ids))
        for each in found[0].segments
    ]


def update_index(table: Table, segment_rows: int = SEGMENT_ROWS) -> None:
    """Make the index, or let it take up rows behind it, if there is enough to do.

    A table of about `segment_rows` has one segment. In a larger one, the segments that are at
    least half full stay as they are, and the rest is made anew.

    Args:
        table: the table of spans.
        segment_rows: rows of a segment, about.
    """
    dataset = table.open()
    with readable(table.place):
        rows = {each.fragment_id: each.count_rows() for each in dataset.get_fragments()}
        segments = segments_of(dataset)
    num_behind = _count(rows, _behind(rows, segments))
    if num_behind <= (ROWS_BEHIND if segments else EXACT_ROWS):
        return
    is_whole = _num_segments(sum(rows.values()), segment_rows) == 1
    if is_whole and len(segments) == 1 and _has_fitting_lists(segments[0], sum(rows.values())):
        table.change_index(_take_up)
        return
    lasting = [] if is_whole else _lasting(rows, segments, segment_rows)
    for group in _groups(rows, _units(rows, segments, lasting), segment_rows):
        table.change_index(partial(_make_segment, fragments=group))


def _take_up(dataset: lance.LanceDataset) -> None:
    """Put the rows behind the index into the lists of its only segment."""
    dataset.optimize.optimize_indices(num_indices_to_merge=1)  # else each call adds a segment


def _make_segment(dataset: lance.LanceDataset, fragments: Sequence[int]) -> None:
    """Make a segment, in place of those that have vectors of the same fragments."""
    alive = {each.fragment_id: each for each in dataset.get_fragments()}
    wanted = [number for number in fragments if number in alive]
    if not wanted:
        return  # other processes have removed all its rows meanwhile
    rows = sum(alive[number].count_rows() for number in wanted)

    def build(lists: int) -> Any:
        options: dict[str, Any] = dict(name=INDEX, metric=METRIC, fragment_ids=wanted)
        options['replace'] = True
        return dataset.create_index_uncommitted(POOLED, INDEX_TYPE, num_partitions=lists, **options)

    segment = _with_filled_lists(build, max(1, int(rows**0.5)))
    dataset.commit_existing_index_segments(INDEX, POOLED, [segment])


def _with_filled_lists(build: Callable[[int], Any], lists: int) -> Any:
    """Build with fewer lists where many vectors are equal: no list may be empty."""
    try:
        return build(lists)
    except RuntimeError as error:
        if 'non-empty clusters' not in str(error) or lists == 1:
            raise
        return _with_filled_lists(build, lists // 2)


def _has_fitting_lists(segment: Segment, rows: int) -> bool:
    wanted = int(rows**0.5)
    return wanted / RETRAIN_FACTOR <= segment.lists <= wanted * RETRAIN_FACTOR


def _lasting(rows: dict[int, int], segments: Sequence[Segment], segment_rows: int) -> list[Segment]:
    """Return the segments that are at least half full."""
    return [each for each in segments if 2 * _count(rows, each.fragments) >= segment_rows]


def _units(
    rows: dict[int, int], segments: Sequence[Segment], lasting: Sequence[Segment]
) -> list[list[int]]:
    """Return the fragments that new segments are made of, those of an old segment together."""
    given_up = [segment.fragments for segment in segments if segment not in lasting]
    units = [[number for number in fragments if number in rows] for fragments in given_up]
    return [*units, *([number] for number in _behind(rows, segments))]


def _groups(
    rows: dict[int, int], units: Sequence[Sequence[int]], segment_rows: int
) -> list[list[int]]:
    """Join fragments into groups of about as many rows, neighbours together.

    Args:
        rows: rows of each fragment.
        units: fragments that stay together, as those of a segment: a new segment takes the place of
            whole ones.
        segment_rows: rows of a group, about.
    """
    total = sum(_count(rows, unit) for unit in units)
    number = _num_segments(total, segment_rows)
    groups: list[list[int]] = [[] for _ in range(number)]
    before = 0
    for unit in units:
        own = _count(rows, unit)
        middle = before + own / 2
        groups[min(number - 1, int(number * middle / max(1, total)))] += unit
        before += own
    return [group for group in groups if group]


def _num_segments(rows: int, segment_rows: int) -> int:
    return max(1, round(rows / segment_rows))


def _behind(fragments: Collection[int], segments: Sequence[Segment]) -> list[int]:
    """Return the fragments whose vectors are in none of some segments."""
    covered = frozenset().union(*(segment.fragments for segment in segments))
    return [number for number in fragments if number not in covered]


def _count(rows: dict[int, int], fragments: Collection[int]) -> int:
    return sum(rows.get(number, 0) for number in fragments)
