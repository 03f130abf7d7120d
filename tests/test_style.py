"""The code keeps to its own measures: short functions, short files, one markup in docstrings."""

import ast
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(
    path for room in ('diffusionret_mm', 'tools') for path in (ROOT / room).rglob('*.py')
)
# Restructured text; this project's docstrings are Google style with names in single backticks.
OTHER_MARKUP = re.compile(
    r'``|:(func|class|meth|mod|attr|obj|data|ref):`|:(param|returns?|rtype)\b|::$', re.MULTILINE
)


def functions(path):
    return [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def length(function):
    """Lines of a function from `def` to its end, without its docstring and its decorators."""
    lines = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is not None:
        lines -= function.body[0].end_lineno - function.body[0].lineno + 1
    return lines


def docstrings(path):
    kinds = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))
    return [text for text in map(ast.get_docstring, nodes) if text]


def test_length_leaves_the_docstring_out():
    (function,) = ast.parse(
        '@decorated\ndef f():\n    """One.\n\n    Two.\n    """\n    return 1'
    ).body
    assert length(function) == 2


def test_functions_are_short():
    lengths = {
        f'{path.relative_to(ROOT)}: {function.name}': length(function)
        for path in FILES
        for function in functions(path)
    }
    assert len(lengths) > 500
    assert statistics.median(lengths.values()) <= 8
    assert {name: lines for name, lines in lengths.items() if lines > 40} == {}


def test_files_are_short():
    lines = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: count for name, count in lines.items() if count > 350} == {}


def test_docstrings_have_one_markup():
    texts = [text for path in FILES for text in docstrings(path)]
    assert len(texts) > 500
    assert [text for text in texts if OTHER_MARKUP.search(text)] == []


@pytest.mark.parametrize('text', ['``name``', ':func:`name`', ':param name: what', 'like this::\n'])
def test_other_markup_is_recognised(text):
    assert OTHER_MARKUP.search(text)
