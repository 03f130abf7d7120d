"""Subtitle files, SubRip (.srt) and WebVTT (.vtt), read as far as they can be."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from diffusionret_mm.datasets.subtitles.lines import Line, Subtitles, plain
from diffusionret_mm.storage.names import printable

# Bytes: what is larger holds no lines that anybody reads.
LARGEST = 2**24
ARROW = '-->'
TIME = r'(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?'
TIMES = re.compile(rf'\s*{TIME}\s*-->\s*{TIME}(?:\s.*)?')
# Blocks of WebVTT without lines.
NO_LINES = re.compile(r'\s*(WEBVTT|NOTE|STYLE|REGION)\b.*')
# Characters of a row that a message shows.
SHOWN = 40


@dataclass
class _Cue:
    """What follows a row of times."""

    start: float
    end: float
    rows: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[Line]:
        """Yield its line, unless nothing of it is shown."""
        text = plain('\n'.join(self.rows))
        if text:
            yield Line(self.start, self.end, text)


def read_subtitle_file(path: str) -> Subtitles:
    """Read a subtitle file.

    Args:
        path: a file of SubRip or WebVTT, in UTF-8 or, with its mark, UTF-16. What is not UTF-8 is
            read as Windows-1252, which is a problem.

    Returns:
        The lines of all cues that can be read, and what is wrong with the others, by the number of
        the row.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        return Subtitles(problems=((error.strerror or str(error)).lower(),))
    if len(content) > LARGEST:
        return Subtitles(problems=(f'it is larger than {LARGEST // 2**20} MiB',))
    rows, problems = _rows_of(content)
    found = parse_subtitles(rows)
    problems += found.problems
    if not found.lines and not problems:
        problems.append('it holds no line')
    return Subtitles(found.lines, tuple(problems))


def parse_subtitles(rows: list[str]) -> Subtitles:
    """Parse the rows of a subtitle file.

    A cue is a row of times and what stands below it, to a blank row or the next row of times.

    Args:
        rows: the rows, without line breaks.
    """
    parser = _Parser()
    for number, row in enumerate(rows, start=1):
        parser.take(number, row)
    parser.end_block()
    return Subtitles(tuple(parser.lines), tuple(parser.problems))


class _Parser:
    """Goes through the rows of a file, block by block."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.problems: list[str] = []
        self._cue: _Cue | None = None
        self._is_bad = False  # what follows has no times that can be read
        self._loose: list[tuple[int, str]] = []

    def take(self, number: int, row: str) -> None:
        """Take the next row."""
        if ARROW in row:
            self._begin_cue(number, row)
        elif not row.strip():
            self.end_block()
        elif self._cue is not None:
            self._cue.rows.append(row)
        elif not self._is_bad:
            self._loose.append((number, row))

    def end_block(self) -> None:
        """End what a blank row ends."""
        if self._cue is not None:
            self.lines += self._cue.lines()
        loose = [(number, row) for number, row in self._loose if not row.strip().isdecimal()]
        if loose and not NO_LINES.fullmatch(loose[0][1]):
            number, row = loose[0]
            self._complain(number, f'"{printable(row.strip()[:SHOWN])}" has no times')
        self._cue, self._is_bad, self._loose = None, False, []

    def _begin_cue(self, number: int, row: str) -> None:
        if self._cue is not None and self._cue.rows[-1:] and self._cue.rows[-1].strip().isdecimal():
            self._cue.rows.pop()  # there is no blank row before the number of this cue
        if len(self._loose) == 1:
            self._loose.clear()  # the number or name of this cue
        self.end_block()
        times = TIMES.fullmatch(row)
        if times is None:
            self._is_bad = True
            self._complain(number, f'"{printable(row.strip()[:SHOWN])}" is not two times')
            return
        start, end = _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:])
        if end < start:
            self._is_bad = True
            self._complain(number, 'it ends before it starts')
        else:
            self._cue = _Cue(start, end)

    def _complain(self, number: int, reason: str) -> None:
        self.problems.append(f'line {number}: {reason}')


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    whole = 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return whole + int((fraction or '').ljust(3, '0')) / 1000


def _rows_of(content: bytes) -> tuple[list[str], list[str]]:
    """Return the rows of a file, and what is wrong with its encoding."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _split(content.decode('utf-16', 'replace')), []
    if b'\0' in content:
        return [], ['it is UTF-16 without its mark, or no text']
    try:
        return _split(content.decode('utf-8-sig')), []
    except UnicodeDecodeError:
        pass
    rows, bad = [], []
    for number, row in enumerate(_split_bytes(content), start=1):
        try:
            rows.append(row.decode('utf-8-sig' if number == 1 else 'utf-8'))
        except UnicodeDecodeError:
            rows.append(row.decode('cp1252', 'replace'))
            bad.append(number)
    reason = f'line {bad[0]}: not UTF-8, read as Windows-1252 (in {len(bad):,} lines)'
    return rows, [reason]


def _split(text: str) -> list[str]:
    return text.replace('\r\n', '\n').replace('\r', '\n').split('\n')


def _split_bytes(content: bytes) -> list[bytes]:
    return content.replace(b'\r\n', b'\n').replace(b'\r', b'\n').split(b'\n')
