"""Texts and names from outside are shown as they are, wherever they are shown."""

import html
import json
import os
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import user_errors
from diffusionret_mm.comparison import summarise, write_markdown, write_plot
from diffusionret_mm.comparison.table import COSTS
from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.demo.cards import cards, table
from diffusionret_mm.demo.found import by_video
from diffusionret_mm.evaluation.tables import (
    Column,
    escape_markdown,
    format_figures,
    format_markdown_table,
    format_table,
    label,
)
from diffusionret_mm.search import FoundSpan, Hit, SentenceHit
from diffusionret_mm.storage.names import printable
from diffusionret_mm.visualization import style
from diffusionret_mm.visualization.diffusion import DiffusionProcess, draw_diffusion
from diffusionret_mm.visualization.page import Picture, Section, Table, write_page
from diffusionret_mm.visualization.retrieval import RankedVideo, draw_retrieval
from diffusionret_mm.visualization.samples import Sample, draw_samples

pytest.importorskip('lance')

TEXTS = [
    'a [red] circle [/b] moves [link=file:///etc/passwd]left[/link]',
    '[/] [bold blink] :boom: [[]] [@click=app.bell]x',
    'a <b>man</b> <script>alert(1)</script> & "him" \'her\'',
    r'it costs $5 and $\frac{a}$ {0} {name} %s %d \n',
    'a | b * c _ d ` e # f ~ g',
]
NASTY = [*TEXTS, 'a\x1b[31mred\x1b[0m', 'two\nlines\tand\rmore', 'left\u202etfel', 'half \udc80']


@pytest.fixture
def indexed(run_tool, model, write_clip, tmp_path):
    """A gallery of clips with such names."""
    names = ['[red]a[/red].mp4', '[/b].mp4', '<i>&lt;.mp4', '$x$ {0} %s.mp4', 'a|b*c.mp4']
    names += ['new\nline\x1b[1m.mp4', ':boom:.mp4']
    for number, name in enumerate(names):
        write_clip(tmp_path / 'videos' / name, 6 + number)
    done = run_tool('index', tmp_path / 'videos', tmp_path / 'gallery', *model)
    assert done.status == 0, done.err
    return tmp_path / 'gallery', names


def test_searches(run_tool, indexed):
    gallery, names = indexed
    for text in TEXTS:
        done = run_tool('search', gallery, text)
        assert done.status == 0, done.err
        lines = done.out.splitlines()
        table_of_hits = lines[lines.index(printable(text)) :]
        assert len(table_of_hits) == 3 + len(names) + 1  # title, head, rule, and times at the end
        for name in names:
            shown = os.path.relpath(gallery.parent / 'videos' / name)
            assert any(line.endswith(printable(shown)) for line in lines)
        done = run_tool('search', gallery, text, '--json')
        assert json.loads(done.out)['query'] == text
    for name in names:
        video = gallery.parent / 'videos' / name
        assert run_tool('search', gallery, '--video', video).status == 0


def test_a_sentence_that_is_no_text(sentence, indexed):
    said = sentence('search', indexed[0], 'half \udc80')
    assert said == '"half \\udc80" is no text: some of its bytes are not UTF-8.'


@pytest.mark.parametrize('text', NASTY)
def test_tables(text):
    lines = format_table([label('name'), Column('n')], [[text, 1]], text).splitlines()
    assert lines[0] == printable(text)
    assert lines[-1] == f'{printable(text)}  1'
    assert printable(text) in format_figures({'name': text})
    ''.join(lines).encode()
    (row,) = format_markdown_table([label('a')], [[escape_markdown(text)]]).splitlines()[2:]
    assert len(re.findall(r'(?<!\\)\|', row)) == 2
    assert re.sub(r'\\([^\w\s])', r'\1', row) == f'| {printable(text)} |'


@pytest.mark.parametrize('text', NASTY)
def test_figures(text):
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    video = RankedVideo(text, frames, 0.5, 0.5, 1, 1, True)
    process = DiffusionProcess(
        query=text,
        states=np.full((3, 4), 0.25, np.float32),
        times=[2, 1, 0],
        is_truth=np.array([True, False, False, False]),
        rank_before=1,
        rank_after=1,
    )
    for figure in (
        draw_retrieval(text, [video]),
        draw_samples([Sample(text, frames, [text])]),
        draw_diffusion([process]),
    ):
        written = ' '.join(part.get_text() for part in figure.findobj(match=is_text))
        assert printable(' '.join(text.split()))[:12] in written
        style.to_image(figure)


def is_text(artist):
    return type(artist).__name__ == 'Text'


@pytest.mark.parametrize('text', TEXTS)
def test_pages_and_cards(tmp_path, text):
    picture, name = Picture(b'', text), text.replace('/', ':')
    hit = Hit(1, name, 0.0, 2.0, 0.5, None, 0.5, FoundSpan('id', name, 0.0, 2.0, 'video'))
    write_page(
        tmp_path / 'page.html', text, [Section(text, [text, Table([text], [[text]]), picture])]
    )
    pages = [
        (tmp_path / 'page.html').read_text(),
        cards(by_video([hit], 1)).replace(html.escape(name), html.escape(text)),
        table([SentenceHit(rank=1, item=text, similarity=0.5, generator=None, score=0.5)]),
    ]
    for page in pages:
        for tag in ('<b>man', '<script>', '"him"'):
            assert tag not in page
        assert text in html.unescape(page)


@pytest.mark.parametrize('name', ['a|b', '$x$ and $y$', '<b>', '*bold*', '[x](y)', '`code`'])
def test_names_of_configs_in_comparisons(tmp_path, name):
    names = ('R@1', 'R@5', 'R@10', 'MdR', 'MnR', 'Rsum')
    metrics = {f'{direction}/{key}': 50.0 for direction in ('t2v', 'v2t') for key in names}
    costs = dict.fromkeys(('parameters', *COSTS, 'memory_mb'), 10.0)
    row = summarise(name, [dict(seed=0, metrics=metrics, costs=costs)])
    text = write_markdown(tmp_path / 'table.md', [row], note=name)
    assert f'| {escape_markdown(name).replace("|", chr(92) + "|")} |' in text
    write_plot(tmp_path / 'plot.png', [row])
    assert (tmp_path / 'plot.png').stat().st_size


def test_training_and_its_report(run_tool, config, tmp_path):
    """Captions with markup pass through logs, figures and the report."""
    render_shapes(tmp_path / 'own', num_scenes=dict(train=2, val=1, test=2), workers=1)
    entries = json.loads((tmp_path / 'own/test.json').read_text())
    for entry, text in zip(entries, TEXTS, strict=False):
        entry['captions'] = [text]
    (tmp_path / 'own/own.json').write_text(json.dumps(entries))
    cfg = Config.fromfile(config)
    own = dict(type='TextVideoDataset', data_root=str(tmp_path / 'own'), ann_file='own.json')
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        kept = {key: dataset[key] for key in ('pipeline', 'test_mode') if key in dataset}
        cfg[f'{split}_dataloader'].dataset = own | kept
    cfg.default_hooks.report.draw = True
    cfg.dump(config)
    done = run_tool('train', config)
    assert done.status == 0, done.err
    report = (tmp_path / 'run/report.html').read_text()
    assert '<script>alert' not in report
    assert '<script>alert(1)</script>' in html.unescape(report)


def test_messages(capsys):
    with pytest.raises(SystemExit), user_errors.stop_with_message():
        raise ValueError('[/b] \x1b[31m <i> half \udc80')
    assert capsys.readouterr().err == '[/b] \\x1b[31m <i> half \\udc80.\n'


def test_weights_named_with_markup(sentence, config, tmp_path):
    torch.save({'state_dict': {'[/red]\x1b[31m': torch.zeros(1)}}, tmp_path / 'w.pth')
    assert '[/red]\\x1b[31m' in sentence('test', config, tmp_path / 'w.pth')
