"""Names and other texts from outside, in a form that can be printed and kept."""

from __future__ import annotations

import html
import os
import stat
import unicodedata

# Control characters, halves of characters, and separators of lines and paragraphs.
UNPRINTABLE = {'Cc', 'Cs', 'Zl', 'Zp'}
# They change the order in which the rest of a line is shown.
DIRECTIONS = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
# Letters and symbols of blanks, and what only changes the character before it.
BLANKS = {*'\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0', *map(chr, range(0xFE00, 0xFE10))}
INVISIBLE = {'Cc', 'Cf', 'Cs', 'Zl', 'Zp', 'Zs'}
KINDS = (
    (stat.S_ISFIFO, 'it is a pipe'),
    (stat.S_ISSOCK, 'it is a socket'),
    (stat.S_ISCHR, 'it is a device'),
    (stat.S_ISBLK, 'it is a device'),
)


def printable(text: str) -> str:
    r"""Return a text as one line that a terminal shows as it is.

    Args:
        text: anything, such as a name whose bytes are not UTF-8.

    Returns:
        The text with escapes in place of what would be obeyed and not shown.

    Examples:
        >>> printable('a\nb\x1b[31m \udcff [b]')
        'a\\nb\\x1b[31m \\udcff [b]'
    """
    return ''.join(
        char.encode('unicode_escape').decode()
        if unicodedata.category(char) in UNPRINTABLE or char in DIRECTIONS
        else char
        for char in text
    )


def is_utf8(name: str) -> bool:
    """Tell whether a name, as the system gives it, can be kept in a file or a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_visible(text: str) -> bool:
    r"""Tell whether a reader sees anything of a text; entities of HTML are read as tokenizers do.

    Examples:
        >>> [is_visible(text) for text in ('a', ' \t', '\u200b\ufeff', '&nbsp;', '\u2800')]
        [True, False, False, False, False]
    """
    shown = html.unescape(html.unescape(text))
    return any(unicodedata.category(char) not in INVISIBLE and char not in BLANKS for char in shown)


def why_not_a_file(path: str | os.PathLike[str]) -> str:
    """Return why a path cannot be read as a file or a folder; empty if it can.

    Args:
        path: what was found or given; it is not opened.
    """
    if not is_utf8(os.fspath(path)):
        return 'its name is not UTF-8; rename it'
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return 'it is a link to nothing' if os.path.islink(path) else 'it does not exist'
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return next((reason for is_kind, reason in KINDS if is_kind(mode)), '')
