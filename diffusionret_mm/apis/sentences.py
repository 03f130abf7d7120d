"""Sentences that are searched for, and what is none."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from diffusionret_mm.datasets.annotation_files import read_text
from diffusionret_mm.datasets.transforms.captions import refuse_empty
from diffusionret_mm.datasets.video_files import looks_like_a_file
from diffusionret_mm.storage.names import is_utf8, is_visible, printable

# A file of sentences is larger, or a line of it longer, only by mistake.
MOST_BYTES = 100_000_000
MOST_CHARACTERS = 1_000
# Bad lines that a message names.
LISTED = 5


def check_texts(texts: Sequence[str]) -> None:
    """Refuse what cannot be encoded as a text.

    Raises:
        ValueError: if one is empty or not UTF-8.
    """
    for text in texts:
        if not is_utf8(text):
            raise ValueError(f'"{printable(text)}" is no text: some of its bytes are not UTF-8.')
    refuse_empty(texts)


def check_sentences(sentences: Sequence[str]) -> None:
    """Refuse what cannot be searched for as a sentence.

    Raises:
        ValueError: if one is empty, not UTF-8, or the name of a video.
    """
    check_texts(sentences)
    for sentence in sentences:
        if looks_like_a_file(sentence):
            raise ValueError(
                f'{sentence!r} looks like a file; a sentence is wanted. Give '
                f'pathlib.Path({sentence!r}), or --video on a command line, to search by the video.'
            )


def read_sentences(path: str | os.PathLike[str]) -> list[str]:
    """Read a file of sentences, one per line; blank lines are passed over.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not UTF-8, too large, holds no sentence, or lines that are none; it
            names them.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f'There is no file of queries {printable(str(file))}.')
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(
            f'{file} has {size / 1e6:,.0f} MB; a file of sentences has at most '
            f'{MOST_BYTES / 1e6:,.0f} MB.'
        )
    lines = enumerate((line.strip() for line in read_text(file).split('\n')), start=1)
    found = {number: line for number, line in lines if line}
    bad = [f'line {number} ({why})' for number, line in found.items() if (why := _why_not(line))]
    if bad:
        more = f' and {len(bad) - LISTED:,} more' if len(bad) > LISTED else ''
        raise ValueError(
            f'{file} must hold one sentence per line; it holds lines that are none: '
            f'{", ".join(bad[:LISTED])}{more}.'
        )
    if not found:
        raise ValueError(f'{file} holds no sentence.')
    return list(found.values())


def _why_not(line: str) -> str:
    if not is_visible(line):
        return 'it shows nothing'
    if any(unicodedata.category(character) == 'Cc' for character in line):
        return 'it has a tab or another control character'
    if len(line) > MOST_CHARACTERS:
        return f'it has {len(line):,} characters, more than {MOST_CHARACTERS:,}'
    return 'it looks like the name of a video' if looks_like_a_file(line) else ''
