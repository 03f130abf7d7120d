"""Texts of configs that are read and not run."""

from pathlib import Path

import pytest
from mmengine.config import Config

from diffusionret_mm.engine.config_text import parse_config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize('name', ['diffusionret_shapes', 'zeroshot/zeroshot_mean', 'drl/drl_msvd'])
def test_what_a_config_writes_is_read_back(name):
    cfg = Config.fromfile(ROOT / f'configs/{name}.py')
    assert parse_config(cfg.pretty_text).to_dict() == cfg.to_dict()


def test_values_of_all_kinds():
    text = "a = dict(b=[1, -2.5, None, True], c=({'x y': 'z'}, float_))\n".replace('float_', 'inf')
    assert parse_config(text).to_dict() == dict(
        a=dict(b=[1, -2.5, None, True], c=({'x y': 'z'}, float('inf')))
    )


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('import os', 'line 1 is no assignment of a value'),
        ("a = 1\nb = open('file', 'w')", 'line 2 holds more than values'),
        ("a = dict(b=__import__('os').name)", 'line 1 holds more than values'),
        ('a = dict(**{1: 2})', 'line 1 holds more than values'),
        ('a.b = 3', 'line 1 is no assignment of a value'),
        ('a = [', 'line 1 is no Python'),
    ],
)
def test_programs_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_config(text)


def test_modules_of_a_plugin_are_imported():
    with pytest.raises(ImportError, match='no_such_module'):
        parse_config("custom_imports = dict(imports=['no_such_module'])")
