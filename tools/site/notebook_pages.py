"""Notebooks as pages: their text and their code; they are kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path


def write_page(path: Path) -> str:
    """Return a notebook as markdown.

    Args:
        path: a notebook.
    """
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    link = f'[Download this notebook]({path.name})'
    texts = [_cell(cell['cell_type'], ''.join(cell['source'])) for cell in cells]
    return '\n\n'.join([texts[0], link, *texts[1:]]) + '\n'


def _cell(kind: str, text: str) -> str:
    return text if kind == 'markdown' else f'```python\n{text}\n```'
