"""Subtitle files as they are found: read as far as they can be, with what cannot by its row."""

import pytest

from diffusionret_mm.datasets.subtitles import Line, Subtitles, read_subtitles
from diffusionret_mm.datasets.subtitles.parsing import LARGEST, read_subtitle_file

SRT = """1
00:00:01,000 --> 00:00:02,500
Where did you
put the keys?

2
00:00:03,000 --> 00:00:04,000 X1:1 X2:2
<i>On the table</i>, {\\an8}Tom &amp; Ann.
"""
LINES = (
    Line(1, 2.5, 'Where did you put the keys?'),
    Line(3, 4, 'On the table, Tom & Ann.'),
)
VTT = """WEBVTT - with a title
Kind: captions

NOTE
of the author --
with two rows

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
Where did you
put the keys?

01:00:03.000 --> 01:00:04.000
<v Ann><c.yellow>On</c> the <00:03.500>table
"""


@pytest.fixture
def read(tmp_path):
    """A function that writes a file and reads it."""

    def write_and_read(content, name='film.srt'):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(content)
        return read_subtitle_file(str(tmp_path / name))

    return write_and_read


@pytest.mark.parametrize(
    'change',
    [
        str.encode,
        lambda text: text.replace('\n', '\r\n').encode(),
        lambda text: text.replace('\n', '\r').encode(),
        lambda text: text.encode('utf-8-sig'),
        lambda text: text.encode('utf-16'),
        lambda text: text.replace('\n\n', '\n').encode(),  # no blank rows between
        lambda text: text.replace('\n\n', '\n \n\n\n').strip().encode(),
        lambda text: text.replace(',0', '.0').encode(),
    ],
)
def test_subrip_of_all_sorts(read, change):
    assert read(change(SRT)) == Subtitles(LINES)


def test_webvtt(read):
    lines = LINES[0], Line(3603, 3604, 'On the table')
    assert read(VTT, 'film.vtt') == Subtitles(lines)


def test_cues_overlap_and_come_in_any_order(read):
    text = '0:0:5,5 --> 0:0:9\nb\n\n00:00:04,000 --> 00:00:06,000\na\n\n00:07 --> 00:07\nc'
    assert read(text).lines == (Line(5.5, 9, 'b'), Line(4, 6, 'a'), Line(7, 7, 'c'))


def test_what_cannot_be_read_is_named_by_its_row(read):
    bad = """
3
00:00:05,000 -> 00:00:06,000
an arrow too short

4
-00:00:01,000 --> 00:00:02,000
negative

5
00:00:09,000 --> 00:00:08,000
backwards

a row without times

6
00:00:10,000 --> 00:00:11,000
good
"""
    found = read(SRT + bad)
    assert found.lines == (*LINES, Line(10, 11, 'good'))
    assert found.problems == (
        'line 11: "00:00:05,000 -> 00:00:06,000" has no times',
        'line 15: "-00:00:01,000 --> 00:00:02,000" is not two times',
        'line 19: it ends before it starts',
        'line 22: "a row without times" has no times',
    )


def test_rows_that_are_not_utf8_are_read_as_windows_1252(read):
    rows = SRT.encode().replace(b'table', 'Tisch für Café'.encode('cp1252'))
    found = read(rows + '\n00:05 --> 00:06\nÜbung'.encode())
    assert [line.text for line in found.lines[1:]] == ['On the Tisch für Café, Tom & Ann.', 'Übung']
    assert found.problems == ('line 8: not UTF-8, read as Windows-1252 (in 1 lines)',)


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (b'', 'it holds no line'),
        ('WEBVTT\n\n', 'it holds no line'),
        (SRT.encode('utf-16-le'), 'it is UTF-16 without its mark, or no text'),
        (b'\x89PNG\r\n\x1a\n\0\0', 'it is UTF-16 without its mark, or no text'),
        (b' ' * (LARGEST + 1), 'it is larger than 16 MiB'),
        ('<html>', 'line 1: "<html>" has no times'),
    ],
    ids=['empty', 'header alone', 'utf-16', 'picture', 'large', 'page'],
)
def test_files_without_lines_say_why(read, content, problem):
    assert read(content) == Subtitles(problems=(problem,))


def test_a_line_of_which_nothing_is_shown_is_none(read):
    assert read('00:01 --> 00:02\n<b> </b>&nbsp;\n\n00:03 --> 00:04\nyes').lines == (
        Line(3, 4, 'yes'),
    )


def test_files_that_cannot_be_opened_say_why(tmp_path):
    (tmp_path / 'a.srt').mkdir()
    found = read_subtitles('a.mp4', [str(tmp_path / name) for name in ('a.srt', 'b.srt')])
    assert found.problems == ('a.srt: is a directory', 'b.srt: no such file or directory')


def test_problems_of_a_file_are_told_together(tmp_path):
    path = tmp_path / 'a.srt'
    path.write_text('\n'.join(f'{number} --> bad\n' for number in range(5)))
    (problem,) = read_subtitles('a.mp4', [str(path)]).problems
    assert problem.startswith('a.srt: line 1: "0 --> bad" is not two times; line 3: ')
    assert problem.endswith('; and 2 more')
