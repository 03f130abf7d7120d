"""The table printer."""

import pytest

from diffusionret_mm.evaluation.tables import (
    Column,
    format_figures,
    format_markdown_table,
    format_table,
    label,
)

COLUMNS = [label('name'), Column('time', 's', number='.1f'), Column('videos')]


def test_columns_are_aligned_and_have_their_units():
    assert format_table(
        COLUMNS, [['a', 1.25, 1000], ['longer', None, 2]], 'Title'
    ).splitlines() == [
        'Title',
        'name    time, s  videos',
        '-----------------------',
        'a           1.2   1,000',
        'longer        -       2',
    ]


def test_a_row_without_cells_separates_sections():
    rows = format_table([label('a')], [['x'], [], ['y']]).splitlines()
    assert rows == ['a', '-', 'x', '-', 'y']


def test_nothing_is_cut_coloured_or_read_as_markup(monkeypatch):
    monkeypatch.setenv('COLUMNS', '20')
    monkeypatch.setenv('FORCE_COLOR', '1')
    cell = '[red]x[/red] :smile: ' * 20 + 'end'
    table = format_table([label('text')], [[cell]])
    assert table.splitlines()[-1] == cell
    assert '\x1b' not in table


def test_markdown():
    text = format_markdown_table(COLUMNS, [['a', 1.25, None]])
    assert text == '| name | time, s | videos |\n| --- | --- | --- |\n| a | 1.2 | - |\n'


@pytest.mark.parametrize('draw', [format_table, format_markdown_table])
def test_a_row_of_another_length_is_refused(draw):
    with pytest.raises(ValueError, match=r"row \['a', 1.0\] has 2 cells, and the table 3 columns"):
        draw(COLUMNS, [['a', 1.0]])


def test_figures():
    lines = format_figures({'small': 0.00012345, 'large': 1234.56, 'count': 5000, 'on': 'cpu'})
    cells = [line.split() for line in lines.splitlines()[2:]]
    assert cells == [['small', '0.000123'], ['large', '1,234.6'], ['count', '5,000'], ['on', 'cpu']]
