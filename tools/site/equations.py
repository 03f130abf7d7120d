"""Equations of the documents, as MathML: browsers draw it, without a script.

A document writes an equation as GitHub reads it: in a block of the kind `math`, or as $`x`$ in a
sentence.
"""

from __future__ import annotations

import re

from latex2mathml.converter import convert

BLOCK = re.compile(r'^```math\n(.*?)\n```$', re.DOTALL | re.MULTILINE)
INLINE = re.compile(r'\$`([^`\n]+)`\$')
PLACE = re.compile(r'<p>EQUATION(\d+)BLOCK</p>|EQUATION(\d+)INLINE([.,:;?!)]*)')


def take_out(markdown: str) -> tuple[str, list[str]]:
    """Put a word in the place of each equation, so that nothing reads it as markup.

    Args:
        markdown: a document.

    Returns:
        The document, and the equations as MathML.
    """
    found: list[str] = []

    def take(display: str, match: re.Match[str]) -> str:
        found.append(convert(match[1], display=display))
        return f'EQUATION{len(found) - 1}{display.upper()}'

    markdown = BLOCK.sub(lambda match: take('block', match), markdown)
    return INLINE.sub(lambda match: take('inline', match), markdown), found


def put_in(html: str, equations: list[str]) -> str:
    """Put the equations of a page back.

    Args:
        html: the page that was made of the document.
        equations: what `take_out` found.

    Returns:
        The page with its equations.
    """

    def put(match: re.Match[str]) -> str:
        if match[1]:
            return f'<div class="equation">{equations[int(match[1])]}</div>'
        return f'<span class="equation">{equations[int(match[2])]}{match[3]}</span>'

    return PLACE.sub(put, html)
