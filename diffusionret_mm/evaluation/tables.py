"""Tables as text: for terminals and logs, and for Markdown files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.box import Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from diffusionret_mm.storage.names import printable

WIDTH = 10_000  # far beyond every table, so that no line is cut to the terminal

# A rule of dashes below the header and between sections, spaces between columns, and no frame.
RULES = Box('    \n    \n ---\n    \n ---\n    \n    \n    \n', ascii=True)

Cell = str | float | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: text of its header.
        unit: unit of its numbers; it follows the title: "time, s".
        align: 'left' or 'right'.
        number: format of its numbers, as for `format`; the default groups thousands.
    """

    title: str
    unit: str = ''
    align: Literal['left', 'right'] = 'right'
    number: str = ','

    @property
    def header(self) -> str:
        """Title and unit."""
        return f'{self.title}, {self.unit}' if self.unit else self.title

    def show(self, cell: Cell) -> str:
        """The text of a cell; that of None is a dash."""
        if cell is None:
            return '-'
        return printable(cell) if isinstance(cell, str) else format(cell, self.number)


def label(title: str = '') -> Column:
    """A column of texts, on the left."""
    return Column(title, align='left')


def format_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], title: str = '') -> str:
    """Draw a table in plain text, without colours and however wide.

    Args:
        columns: the columns.
        rows: a cell per column: a text, a number, or None for a dash. A row without cells is a
            rule that separates sections.
        title: a line above the table; empty: none.

    Returns:
        Lines without a line break at the end.

    Raises:
        ValueError: if a row has more or fewer cells than there are columns.

    Examples:
        >>> print(format_table([label('step'), Column('time', 's')], [['encode', 1250]]))
        step    time, s
        ---------------
        encode    1,250
    """
    table = Table(box=RULES, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(Text(column.header), justify=column.align, no_wrap=True)
    for row in rows:
        if row:
            table.add_row(*(Text(text) for text in _show(columns, row)))
        else:
            table.add_section()
    lines = [printable(title)] if title else []
    return '\n'.join([*lines, *_render(table)])


def format_markdown_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """Draw a table in Markdown.

    Args:
        columns: the columns.
        rows: a cell per column, as for `format_table`. A text may hold Markdown, such as a link;
            write one from outside by `escape_markdown`.

    Returns:
        Lines, each with a line break at its end.

    Raises:
        ValueError: if a row has more or fewer cells than there are columns.

    Examples:
        >>> print(format_markdown_table([label('step'), Column('time', 's')], [['encode', 2]]))
        | step | time, s |
        | --- | --- |
        | encode | 2 |
        <BLANKLINE>
    """
    head = [column.header for column in columns]
    cells = ([cell.replace('|', '\\|') for cell in _show(columns, row)] for row in rows)
    lines = [head, ['---'] * len(head), *cells]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def escape_markdown(text: str) -> str:
    r"""Return a text that Markdown shows as it is; a `|` is left to the table.

    Examples:
        >>> escape_markdown('a*b <i> [c]')
        'a\\*b \\<i\\> \\[c\\]'
    """
    return re.sub(r'([\\`*\[\]<>~$&])', r'\\\1', printable(text))


def format_figures(figures: Mapping[str, float | str]) -> str:
    """Draw a table of figures by name; floats have one decimal, or three digits below 100.

    Args:
        figures: numbers, or texts, by name.

    Examples:
        >>> print(format_figures({'videos': 5000, 'time_s': 0.12345, 'share': 99.96}))
        figure  value
        -------------
        videos  5,000
        time_s  0.123
        share   100.0
    """
    rows = [
        (name, _round(value) if isinstance(value, float) else value)
        for name, value in figures.items()
    ]
    return format_table([label('figure'), Column('value')], rows)


def _round(value: float) -> str:
    return f'{value:.3g}' if abs(value) < 99.95 else f'{value:,.1f}'


def _show(columns: Sequence[Column], row: Sequence[Cell]) -> list[str]:
    if len(row) != len(columns):
        raise ValueError(
            f'The row {list(row)} has {len(row)} cells, and the table {len(columns)} columns.'
        )
    return [column.show(cell) for column, cell in zip(columns, row, strict=True)]


def _render(table: Table) -> list[str]:
    """The lines of a table, the same wherever it is printed."""
    file = io.StringIO()
    console = Console(
        file=file, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False
    )
    console.print(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]
