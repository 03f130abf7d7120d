"""The words of sentences and of what is said."""

from __future__ import annotations

import re
import unicodedata

# They are in most sentences, and tell nothing of what is said.
COMMON = """
    a about all am an and any are as at be because been but by can could did do does for from had
    has have he her him his how i if in into is it its just me my no not of on or our out she so
    some than that the their them then there these they this those to up us was we were what when
    where which who why will with would you your
"""
STOP_WORDS = frozenset(COMMON.split())
# Thai, Lao, Burmese, Khmer, Japanese and Chinese have no spaces between words.
WITHOUT_SPACES = re.compile('[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]')
# Lines over which a sentence may go.
TOGETHER = 3


def words_of(text: str) -> set[str]:
    """Return the different words of a text, without case, accents and the most common words.

    Of scripts without spaces each two letters that follow each other are a word.

    Examples:
        >>> sorted(words_of('The cafés of Zürich'))
        ['cafes', 'zurich']
        >>> sorted(words_of('台所の鍵'))
        ['の鍵', '台所', '所の']
    """
    folded = text.casefold()
    if not folded.isascii():
        parts = unicodedata.normalize('NFKD', folded)
        folded = ''.join(char for char in parts if not unicodedata.combining(char))
    found = set(re.findall(r'\w+', folded)) - STOP_WORDS
    dense = {word for word in found if WITHOUT_SPACES.search(word)}
    return (found - dense).union(*map(_pairs, dense))


def _pairs(word: str) -> set[str]:
    return {word[place : place + 2] for place in range(max(1, len(word) - 1))}


def most_together(text: str, words: set[str]) -> int:
    r"""Return how many of some words are said together: in three lines, one after the other.

    Args:
        text: lines, one under the other.
        words: the words.

    Examples:
        >>> most_together('Where is\nthe red\nkey?\nHere it is.', {'red', 'key', 'here'})
        3
        >>> most_together('Red?\nNo.\nBlue?\nThe key!', {'red', 'key'})
        1
    """
    lines = [words & words_of(line) for line in text.split('\n')]
    return max(len(set().union(*lines[place : place + TOGETHER])) for place in range(len(lines)))


def best_line(text: str, sentence: str) -> str:
    r"""Return the line of a text whose words in common with a sentence have most letters.

    Args:
        text: lines, one under the other.
        sentence: what they were found by.

    Examples:
        >>> best_line('Where is it?\nIn the kitchen.', 'a cat in the kitchen')
        'In the kitchen.'
    """
    words = words_of(sentence)
    return max(text.split('\n'), key=lambda line: sum(map(len, words & words_of(line))))
