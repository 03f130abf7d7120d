"""Hooks of mkdocs: pages made of the code, equations, and files that documents link to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import api
import command_lines
import equations
import notebook_pages
import options
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from outside import PAGES, Outside

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = Outside(ROOT, ROOT / 'docs')


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page of each room, and of each group of commands, into the navigation."""
    (reference,) = (part['Reference'] for part in config.nav if 'Reference' in part)
    pages = [{room: f'reference/api/{room}.md'} for room in api.rooms()]
    groups = [
        {title: f'reference/commands/{name}.md'} for name, title in command_lines.TITLES.items()
    ]
    reference[:0] = [{'Python': pages}, {'Command lines': groups}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of the code, and the files that documents link to."""
    made = {f'reference/api/{room}.md': api.write_page(room) for room in api.rooms()}
    for group, names in command_lines.commands().items():
        made[f'reference/commands/{group}.md'] = command_lines.write_page(group, names)
    made['reference/options.md'] = options.write_page()
    for path in sorted((ROOT / 'docs').rglob('*.ipynb')):
        place = path.relative_to(ROOT / 'docs').with_suffix('.md').as_posix()
        made[place] = notebook_pages.write_page(path)
    linked: dict[str, Path] = {}
    for file in files.documentation_pages():
        linked |= _linked(Path(file.abs_src_path))
    for name, place in PAGES.items():
        made[place] = (ROOT / name).read_text(encoding='utf-8')
        linked |= _linked(ROOT / name)
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    for place, path in linked.items():
        if place.startswith('source/'):
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def _linked(path: Path) -> dict[str, Path]:
    return OUTSIDE.targets(path.read_text(encoding='utf-8'), path.parent)


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links lead to places in the site, and take equations out."""
    place = page.file.src_uri
    at_root = place in PAGES.values()
    folder = ROOT if at_root else (ROOT / 'docs' / place).parent
    if not place.startswith('reference/'):
        markdown = OUTSIDE.rewrite(markdown, folder, place)
    markdown, page.meta['equations'] = equations.take_out(markdown)
    return markdown


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Put equations back."""
    return equations.put_in(html, page.meta['equations'])
