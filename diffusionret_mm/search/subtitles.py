"""Search in what is said: by words, with Lance's full text index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search.schema import TEXT
from diffusionret_mm.search.tables import Table, readable
from diffusionret_mm.search.words import STOP_WORDS, most_together, words_of

if TYPE_CHECKING:
    import lance
    import pyarrow

# Spans of the best BM25 whose words are looked at.
NUM_MATCHES = 100
INDEX = 'subtitles_idx'
# Words are compared as they are written, but for case and accents, as `words_of` has them. ICU
# finds those of scripts without spaces, too.
WORDS: dict[str, Any] = dict(
    base_tokenizer='icu',
    lower_case=True,
    ascii_folding=True,
    stem=False,
    remove_stop_words=True,
    custom_stop_words=sorted(STOP_WORDS),
)


@dataclass(frozen=True)
class Matches:
    """Spans in which words of a sentence are said.

    Args:
        rows: their rows in a snapshot, the best first, [n], int64.
        texts: what is said in each, one line under the other.
    """

    rows: np.ndarray
    texts: list[str]


NO_MATCHES = Matches(np.zeros(0, np.int64), [])


def find_lines(
    dataset: lance.LanceDataset, sentence: str, count: int, where: str | None
) -> pyarrow.Table:
    """Find the spans in which most of a sentence's words are said, and more than half of them.

    Words count that three lines have, one after the other. Spans with fewer of them than others are
    left out: fusion, which knows ranks alone, would let some come before a span that has all.

    Args:
        dataset: a version of the table of subtitles.
        sentence: any text.
        count: spans of the best BM25 that are looked at.
        where: a condition on columns of the table, in SQL; rows that do not meet it are left out
            before lines are compared.

    Returns:
        The columns `id` and the text, in the order of BM25, equal ones in that of their ids.
    """
    query = import_extra('lance.query', 'search').MatchQuery(sentence, TEXT)
    options: dict[str, Any] = dict(filter=where, prefilter=True, limit=count)
    columns = ['id', TEXT, '_score']
    rows = dataset.scanner(columns, full_text_query=query, **options).to_table()
    rows = rows.sort_by([('_score', 'descending'), ('id', 'ascending')])
    words = words_of(sentence)
    shared = np.array([most_together(text, words) for text in rows[TEXT].to_pylist()], np.int64)
    needed = max(shared.max(initial=0), len(words) // 2 + 1)
    return rows.take(np.flatnonzero(shared >= needed))


def once_per_id(rows: pyarrow.Table) -> pyarrow.Table:
    """Return the first row of each id: two writers may have inserted the same one."""
    first: dict[str, int] = {}
    for place, each in enumerate(rows['id'].to_pylist()):
        first.setdefault(each, place)
    return rows.take(np.array([*first.values()], np.int64))


def make_text_index(table: Table) -> None:
    """Make the index of words, unless there is one: without it Lance compares words otherwise.

    Args:
        table: the table of subtitles; it may be empty.
    """
    table.change_index(_make_index)


def update_text_index(table: Table) -> None:
    """Let the index take up rows behind it: they are found before, but not ranked as exactly.

    Args:
        table: the table of subtitles.
    """
    make_text_index(table)
    with readable(table.place):
        behind = table.open().stats.index_stats(INDEX)['num_unindexed_rows']
    if behind:
        table.change_index(lambda latest: latest.optimize.optimize_indices())


def _make_index(dataset: lance.LanceDataset) -> None:
    if all(index.name != INDEX for index in dataset.describe_indices()):
        dataset.create_scalar_index(TEXT, 'INVERTED', name=INDEX, **WORDS)
