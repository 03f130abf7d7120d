"""Search in what is said: by words, with Lance's full text index."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search.schema import TEXT
from diffusionret_mm.search.tables import Table, readable

if TYPE_CHECKING:
    import lance
    import pyarrow

# Spans whose lines fit best that join the candidates, unless more results are wanted.
NUM_MATCHES = 100
INDEX = 'subtitles_idx'
# Words are compared as they are written but for case and accents; those that say nothing in English
# are left out. ICU finds the words of scripts without spaces, too.
WORDS = dict(
    base_tokenizer='icu',
    lower_case=True,
    ascii_folding=True,
    stem=False,
    remove_stop_words=True,
    language='English',
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
    """Find the spans whose lines have words of a sentence, by BM25.

    Args:
        dataset: a version of the table of subtitles.
        sentence: any text.
        count: spans wanted, at most.
        where: a condition on columns of the table, in SQL; rows that do not meet it are left out
            before lines are compared.

    Returns:
        The columns `id` and the text, the best first, equal ones in the order of their ids.
    """
    query = import_extra('lance.query', 'search').MatchQuery(sentence, TEXT)
    options = dict(columns=['id', TEXT, '_score'], filter=where, prefilter=True, limit=count)
    rows = dataset.scanner(full_text_query=query, **options).to_table()
    return rows.sort_by([('_score', 'descending'), ('id', 'ascending')])


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


def best_line(text: str, sentence: str) -> str:
    r"""Return the line of a text that is most like a sentence.

    It is the one whose words in common have most letters. Where no word is, as in scripts without
    spaces, pairs of letters count.

    Args:
        text: lines, one under the other.
        sentence: what they were found by.

    Examples:
        >>> best_line('Where is it?\nIn the kitchen.', 'a cat in the kitchen')
        'In the kitchen.'
    """
    words, pairs = _words(sentence), _pairs(sentence)

    def likeness(line: str) -> tuple[int, int]:
        return sum(map(len, words & _words(line))), len(pairs & _pairs(line))

    return max(text.split('\n'), key=likeness)


def _words(text: str) -> set[str]:
    return set(re.findall(r'\w+', _folded(text)))


def _pairs(text: str) -> set[str]:
    folded = _folded(text)
    return {folded[place : place + 2] for place in range(len(folded) - 1)}


def _folded(text: str) -> str:
    parts = unicodedata.normalize('NFKD', text).casefold()
    return ''.join(char for char in parts if not unicodedata.combining(char))
