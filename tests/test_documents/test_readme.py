"""README says what setup.py, the version and the other documents say."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from tool_modules import load_tool

from diffusionret_mm.version import __version__

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def project():
    return load_tool('check_wheels').read_project(ROOT / 'setup.py')


@pytest.fixture(scope='module')
def badges():
    """The text of each badge by its label."""
    found = re.findall(r'!\[[^\]]+\]\(https://img\.shields\.io/badge/([^)]+)\)', README)
    parts = (re.split(r'(?<!-)-(?!-)', unquote(name)) for name in found)
    return {label: text.replace('--', '-').replace('_', ' ') for label, text, colour in parts}


def test_readme_is_short():
    assert len(README.splitlines()) <= 140


def test_badges_are_true(badges, project):
    pythons = [name.rpartition(' ')[2] for name in project.get_classifiers()]
    pythons = [name for name in pythons if name.startswith('3.')]
    required = {
        name.partition('==')[0]: name.partition('==')[2] for name in project.install_requires
    }
    assert badges == {
        'python': f'{pythons[0]} to {pythons[-1]}',
        'licence': project.get_license(),
        'MMAction2': required['mmaction2'],
        'version': __version__,
    }


def test_badges_are_read_by_people_who_see_no_pictures(badges):
    texts = re.findall(r'!\[([^\]]+)\]\(https://img', README)
    assert [text.lower() for text in texts] == [
        f'{label} {text}'.lower() for label, text in badges.items()
    ]


def rows_of(text):
    return [line for line in text.splitlines() if line.startswith('|')]


def test_the_table_of_second_stages_is_that_of_its_document():
    section = README.partition('## What the second stage adds')[2].partition('\n## ')[0]
    document = (ROOT / 'docs/second_stage.md').read_text(encoding='utf-8')
    assert len(rows_of(section)) >= 4
    assert [row for row in rows_of(section) if row not in rows_of(document)] == []


def test_the_main_table_is_that_of_get_started():
    table = re.search(r'```\n(Retrieval.*?)```', README, re.DOTALL)[1]
    assert table in (ROOT / 'docs/get_started.md').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('document', 'line'),
    [
        ('performance.md', r'\| 1,000 x 1,000 \|.*\| {} \| \S+ \| yes \|'),
        ('performance.md', r'\| 4, 12 \(one with 6\) \| 5 \|.*\| {} \|'),
        ('performance_cache.md', r'\| ViT-B/32, 12 frames.*\| {} \|'),
    ],
)
def test_ratios_are_those_of_their_documents(document, line):
    section = README.partition('## How fast')[2].partition('\n## ')[0]
    ratios = re.findall(r'(\d+(?:\.\d+)?) times as fast', section)
    assert len(ratios) == 3
    text = (ROOT / 'docs' / document).read_text(encoding='utf-8')
    assert any(re.search(line.format(re.escape(ratio)), text) for ratio in ratios)


def test_links_of_documents_at_the_root_lead_to_files():
    for name in ('README.md', 'CONTRIBUTING.md', 'SECURITY.md'):
        text = (ROOT / name).read_text(encoding='utf-8')
        targets = re.findall(r'\]\(([^)#:\s]+)(?:#[^)]*)?\)', text)
        assert [target for target in targets if not (ROOT / target).exists()] == []
