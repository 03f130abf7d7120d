"""Which lines a span has."""

import pytest

from diffusionret_mm.datasets.subtitles import Line, text_between
from diffusionret_mm.datasets.subtitles.lines import plain

LINES = [Line(4, 6, 'c'), Line(0, 2, 'a'), Line(1, 5, 'b'), Line(8, 8, 'now'), Line(9, 10, 'a')]


@pytest.mark.parametrize(
    ('start', 'end', 'text'),
    [
        (0, 10, 'a\nb\nc\nnow'),
        (2, 4, 'b'),
        (5, 6, 'c'),
        (6, 8, None),
        (8, 9, 'now'),
        (float('-inf'), float('inf'), 'a\nb\nc\nnow'),
    ],
)
def test_a_span_has_the_lines_that_are_shown_in_it_once_each(start, end, text):
    assert text_between(LINES, start, end) == text


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('1 < 2 and 3 > 2', '1 < 2 and 3 > 2'),
        ('&lt;b&gt; is a tag', '<b> is a tag'),
        ('<b>AT&T</b>  <br/>is', 'AT&T is'),
        ('{c} stays, {\\c&HFFFFFF&}this goes', '{c} stays, this goes'),
        ('<b></b>\u200b', ''),
    ],
)
def test_markup_goes(text, shown):
    assert plain(text) == shown
