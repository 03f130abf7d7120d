"""Lines of subtitles: what each of them says, and which of them a span has."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from diffusionret_mm.storage.names import is_visible

# <i>, </font>, <v Anna>, <c.yellow>, <00:01.500> and {\an8}.
MARKUP = re.compile(r'</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}')


@dataclass(frozen=True)
class Line:
    """A line of subtitles, as long as it is shown.

    Args:
        start: second at which it appears.
        end: second at which it goes; not before `start`.
        text: what it says, without markup and line breaks.
    """

    start: float
    end: float
    text: str

    def is_in(self, start: float, end: float) -> bool:
        """Tell whether it is shown at some time from `start` to before `end`."""
        if self.start == self.end:
            return start <= self.start < end
        return self.start < end and self.end > start


@dataclass(frozen=True)
class Subtitles:
    """The lines of a file or of several.

    Args:
        lines: those that can be read.
        problems: what cannot, and why.
    """

    lines: tuple[Line, ...] = ()
    problems: tuple[str, ...] = ()


def plain(text: str) -> str:
    r"""Return what is shown of a text: without markup, on one line.

    Examples:
        >>> plain('{\\an8}<i>Salt &amp; pepper</i>,\n<v Anna>please')
        'Salt & pepper, please'
    """
    shown = ' '.join(html.unescape(MARKUP.sub('', text)).split())
    return shown if is_visible(shown) else ''


def text_between(lines: Iterable[Line], start: float, end: float) -> str | None:
    """Return what is said in a span, one line under the other.

    Args:
        lines: all lines of the video.
        start: second at which the span begins.
        end: second at which it ends.

    Returns:
        Each text once, in the order in which they are shown; None if there is none.
    """
    inside = sorted((line for line in lines if line.is_in(start, end)), key=lambda line: line.start)
    return '\n'.join(dict.fromkeys(line.text for line in inside)) or None
