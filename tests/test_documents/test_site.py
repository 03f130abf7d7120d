"""The site builds without a warning, and its reference has every public name."""

import ast
import importlib
import re
import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from site_modules import load_site

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'diffusionret_mm'


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The site, built as `mkdocs build --strict` builds it."""
    folder = tmp_path_factory.mktemp('site')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setenv('NO_MKDOCS_2_WARNING', '1')
        cfg = load_config(str(ROOT / 'mkdocs.yml'), site_dir=str(folder), strict=True)
        cfg.plugins.on_startup(command='build', dirty=False)
        build(cfg)  # a warning, such as a broken link, raises Abort
        cfg.plugins.on_shutdown()
    return folder


@pytest.fixture(scope='module')
def documented(site):
    """The dotted names that the reference has an entry of."""
    compressed = (site / 'objects.inv').read_bytes().split(b'\n', 4)[4]
    return {line.split()[0] for line in zlib.decompress(compressed).decode().splitlines()}


def defined():
    """Every public function and class of every module."""
    for path in sorted(PACKAGE.rglob('*.py')):
        module = '.'.join(path.relative_to(ROOT).with_suffix('').parts)
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            if isinstance(node, kinds) and not node.name.startswith('_'):
                yield f'{module.removesuffix(".__init__")}.{node.name}'


def exported():
    """What rooms export: functions and classes by the module that defines them."""
    for path in sorted(PACKAGE.rglob('__init__.py')):
        room = importlib.import_module('.'.join(path.parent.relative_to(ROOT).parts))
        for name in getattr(room, '__all__', []):
            found = getattr(room, name)
            if hasattr(found, '__qualname__') and found.__module__.startswith('diffusionret_mm'):
                yield f'{found.__module__}.{found.__qualname__}'


@pytest.mark.slow
def test_every_public_name_is_in_the_reference(documented):
    names = [*defined(), *exported()]
    assert len(names) > 700
    assert sorted({*names} - documented) == []


@pytest.mark.slow
def test_every_command_and_option_is_in_the_reference(site):
    commands, lines = load_site('command_lines'), []
    for group, names in commands.commands().items():
        page = (site / f'reference/commands/{group}.html').read_text(encoding='utf-8')
        lines += [name for name in names if f'>{name}<' not in page.replace('\xa0', ' ')]
    assert lines == []
    assert sum(map(len, commands.commands().values())) > 40
    page = (site / 'reference/options.html').read_text(encoding='utf-8')
    classes = [found for some in load_site('options').registered().values() for found in some]
    assert len(classes) > 70
    assert [found for found in classes if f'id="{found.__name__.lower()}"' not in page] == []


@pytest.mark.slow
def test_equations_are_drawn_by_the_browser_and_nothing_is_fetched(site):
    page = (site / 'methods/diffusionret.html').read_text(encoding='utf-8')
    assert page.count('<div class="equation"><math') == 6
    assert 'EQUATION' not in page
    for path in site.rglob('*.html'):
        text = path.read_text(encoding='utf-8')
        assert re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="?https?://[^">]+', text) == []


@pytest.mark.slow
def test_links_to_files_of_the_project_lead_to_copies(site):
    copied = site / 'source/configs/diffusionret_msrvtt.py'
    assert copied.read_text() == (ROOT / 'configs/diffusionret_msrvtt.py').read_text()
    page = (site / 'guides/add_similarity.html').read_text(encoding='utf-8')
    assert '#diffusionret_mm.models.similarity.base.Similarity' in page


def test_every_option_has_a_description():
    options = load_site('options')
    missing = [
        f'{owner.__name__}.{name}'
        for classes in options.registered().values()
        for owner in classes
        for name, (_, text) in options.options_of(owner).items()
        if not text
    ]
    assert missing == []


def test_every_argument_of_a_command_has_a_place_in_its_table():
    commands = load_site('command_lines')
    page = commands.write_page('tools', ['tools/train.py', 'tools/visualize.py'])
    assert '`--cfg-options KEY=VALUE &#91;KEY=VALUE ...]`' not in page  # code is not escaped
    assert '| `--cfg-options KEY=VALUE [KEY=VALUE ...]` |' in page
    assert '### visualize curves' in page
    assert '(default: 50)' not in page  # said once, in the words of the help
    with pytest.raises(ValueError, match='no command line'):
        commands.catch_parser(SimpleNamespace(main=lambda: None, __name__='without_options'))


@pytest.mark.parametrize('text', ['[x](nowhere.md)', '[x](install.md#nowhere)', '[x](../none.py)'])
def test_a_broken_link_stops_a_build(tmp_path, text):
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'docs/index.md').write_text(text)
    (tmp_path / 'docs/install.md').write_text('# Install')
    lines = (ROOT / 'mkdocs.yml').read_text().partition('\nvalidation:')[2].partition('\nnav:')[0]
    (tmp_path / 'mkdocs.yml').write_text(f'site_name: x\nvalidation:{lines}\n')
    cfg = load_config(str(tmp_path / 'mkdocs.yml'), strict=True, site_dir=str(tmp_path / 'site'))
    with pytest.raises(Abort, match='warnings'):
        build(cfg)
