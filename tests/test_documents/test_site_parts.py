"""What the site is made of: equations, links, notebooks."""

from pathlib import Path

from site_modules import load_site

ROOT = Path(__file__).parents[2]


def test_equations_come_back_where_they_were_taken_out():
    equations = load_site('equations')
    text = 'With $`a_b`$: and\n\n```math\nx * y * z\n```\n\nand `$x$`.'
    taken, found = equations.take_out(text)
    assert len(found) == 2
    assert '*' not in taken
    assert '`$x$`' in taken
    html = taken.replace('EQUATION0BLOCK', '<p>EQUATION0BLOCK</p>')
    page = equations.put_in(html, found)
    assert '<div class="equation"><math' in page
    assert '<msub><mi>a</mi><mi>b</mi></msub></mrow></math>:</span> and' in page


def outside():
    return load_site('outside').Outside(ROOT, ROOT / 'docs')


def test_links_lead_to_pages_to_copies_and_into_the_reference():
    text = (
        '[a](../configs/hbi/hbi_shapes.py) [b](../CONTRIBUTING.md#start) [c](install.md) '
        '[`Similarity`](../diffusionret_mm/models/similarity/base.py#Similarity) [d](https://x.y/z)'
    )
    assert outside().rewrite(text, ROOT / 'docs', 'performance.md') == (
        '[a](source/configs/hbi/hbi_shapes.py) [b](contributing.md#start) [c](install.md) '
        '[`Similarity`][diffusionret_mm.models.similarity.base.Similarity] [d](https://x.y/z)'
    )
    text = '[a](../protocol.md) [b](../../LICENSE) [c](../../none.py)'
    rewritten = outside().rewrite(text, ROOT / 'docs/guides', 'guides/convert.md')
    assert rewritten == '[a](../protocol.md) [b](../source/LICENSE) [c](../../none.py)'


def test_documents_at_the_root_link_below_docs():
    text = '[a](docs/install.md#wheels)'
    assert outside().rewrite(text, ROOT, 'contributing.md') == '[a](install.md#wheels)'


def test_a_notebook_becomes_a_page():
    page = load_site('notebook_pages').write_page(ROOT / 'docs/notebooks/diffusion_steps.ipynb')
    assert page.startswith('# The diffusion process, step by step')
    assert '[Download this notebook](diffusion_steps.ipynb)' in page
    assert '```python\nimport diffusionret_mm' in page
    assert page.count('```') % 2 == 0
