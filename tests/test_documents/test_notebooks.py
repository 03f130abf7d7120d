"""The notebooks run from their first cell to their last, with small settings."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / 'docs/notebooks'
SMALL = {
    'first_search': [
        ('dict(train=200, val=20, test=30)', 'dict(train=8, val=2, test=2)'),
        ('(14, 4)', '(1, 1)'),
        ("folder = Path('first_search')", "folder = Path('small')"),
        ('val_interval = 2', 'val_interval = 1'),
    ],
    'diffusion_steps': [('training_steps = 400', 'training_steps = 60')],
}


def cells_of(path):
    return json.loads(path.read_text(encoding='utf-8'))['cells']


def code_of(name):
    cells = (cell for cell in cells_of(NOTEBOOKS / f'{name}.ipynb') if cell['cell_type'] == 'code')
    text = '\n\n'.join(''.join(cell['source']) for cell in cells)
    for full, small in SMALL[name]:
        assert text.count(full) == 1, full
        text = text.replace(full, small)
    return text


def run(name):
    names = {'__name__': name}
    exec(compile(code_of(name), f'{name}.ipynb', 'exec'), names)
    return names


def test_there_is_a_test_for_each_notebook():
    assert {path.stem for path in NOTEBOOKS.glob('*.ipynb')} == set(SMALL)


@pytest.mark.parametrize('name', SMALL)
def test_a_notebook_holds_no_outputs(name):
    for cell in cells_of(NOTEBOOKS / f'{name}.ipynb'):
        assert cell.get('outputs', []) == []
        assert cell.get('execution_count') is None


def test_the_diffusion_process_finds_the_right_candidate(capsys):
    names = run('diffusion_steps')
    share = names['share_found']
    assert names['states'].shape == (50, 200, names['CANDIDATES'])
    assert share(names['start']) < 30 < 50 < share(names['states'][-1])
    printed = capsys.readouterr().out
    assert len(re.findall(r'^after 50', printed, re.MULTILINE)) == 2
    assert '10 steps' in printed


@pytest.mark.slow
def test_a_first_search_finds_test_clips(tmp_path, monkeypatch, capsys):
    (tmp_path / 'configs').symlink_to(NOTEBOOKS.parents[1] / 'configs')
    monkeypatch.chdir(tmp_path)
    names = run('first_search')
    printed = capsys.readouterr().out
    assert names['metrics']['t2v/R@5'] > 0
    assert len(names['clips']) == 6
    assert len(re.findall(r'^ +\d  test_\d{4}_\w+', printed, re.MULTILINE)) == 15
    assert 'a blue square appears' in printed
