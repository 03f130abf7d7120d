"""The examples in docstrings are run."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
WITH_EXAMPLES = [
    '.'.join(path.relative_to(ROOT).with_suffix('').parts)
    for path in sorted((ROOT / 'diffusionret_mm').rglob('*.py'))
    if '>>> ' in path.read_text()
]


@pytest.mark.parametrize('module', WITH_EXAMPLES)
def test_examples_give_what_they_say(module):
    result = doctest.testmod(
        import_module(module),
        extraglobs=dict(torch=torch),
        optionflags=doctest.NORMALIZE_WHITESPACE,
    )
    assert result.attempted > 0
    assert result.failed == 0


def test_a_wrong_example_fails():
    wrong = doctest.DocTestParser().get_doctest('>>> 1 + 1\n3\n', {}, 'wrong', None, 0)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
