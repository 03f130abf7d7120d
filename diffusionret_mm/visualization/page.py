"""A web page in one file: it opens without network and asks for nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffusionret_mm.storage.files import open_atomically


@dataclass(frozen=True)
class Table:
    """A table; a cell is text or a number, which is shown with two decimals."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | float]]


@dataclass(frozen=True)
class Picture:
    """A picture.

    Args:
        data: the file.
        text: what it shows, for those who cannot see it too.
        kind: 'png' or 'jpeg'.
    """

    data: bytes
    text: str
    kind: str = 'png'

    @property
    def base64(self) -> str:
        """The file as text."""
        return base64.b64encode(self.data).decode()


@dataclass(frozen=True)
class Section:
    """A part of a page: a title, then paragraphs (text), tables and pictures."""

    title: str
    blocks: Sequence[str | Table | Picture]


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: file to write.
        title: title of the page.
        sections: its parts; their texts are escaped.
    """
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters['kind'] = lambda block: type(block).__name__
    text = environment.from_string(_TEMPLATE).render(title=title, sections=sections)
    with open_atomically(path) as file:
        file.write(text.encode())


# The policy forbids the browser to load anything that is not in the file.
_TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 820px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; overflow-wrap: anywhere; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1em 0; font-size: 0.9em; }
th, td { padding: 0.25em 0.7em; text-align: left; border-bottom: 1px solid #e4e4e4; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1em 0; } img { max-width: 100%; } figcaption { color: #555; font-size: 0.9em; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
{% for section in sections %}
<h2>{{ section.title }}</h2>
{% for block in section.blocks %}
{% if block | kind == 'Table' %}
<table>
<tr>{% for cell in block.head %}<th>{{ cell }}</th>{% endfor %}</tr>
{% for row in block.rows %}
<tr>{% for cell in row -%}
{% if cell is number %}<td class="number">{{ '%.2f' | format(cell) }}</td>
{%- else %}<td>{{ cell }}</td>{% endif %}{% endfor %}</tr>
{% endfor %}
</table>
{% elif block | kind == 'Picture' %}
<figure><img alt="{{ block.text }}" src="data:image/{{ block.kind }};base64,{{ block.base64 }}">
<figcaption>{{ block.text }}</figcaption></figure>
{% else %}
<p>{{ block }}</p>
{% endif %}
{% endfor %}
{% endfor %}
</body>
</html>
"""
