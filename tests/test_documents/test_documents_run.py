"""The commands of README and guides are run, in order, with small settings.

The words are those of the documents. What is added makes runs small: few scenes, two epochs, and a
checkpoint of such a run in the place of the one that a reader has.
"""

import json
import os
import re
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from document_commands import COMMANDS, ROOT
from tool_modules import run_main

from diffusionret_mm.commands import text_video

pytestmark = pytest.mark.slow

SCENES = [
    f'{split}_dataloader.dataset.num_scenes.{part}={count}'
    for split in ('train', 'val', 'test')
    for part, count in (('train', 8), ('val', 2), ('test', 2))
]
QUIET = ['default_hooks.report.draw=False']
BATCH = ['train_dataloader.batch_size=6', 'auto_scale_lr.base_batch_size=6']
EPOCH = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
ONE_STAGE = [*SCENES, *BATCH, *EPOCH, *QUIET]
TWO_STAGES = [
    *(*SCENES, *BATCH, *QUIET),
    *('train_cfg.max_epochs=2', 'train_cfg.val_interval=1', 'default_hooks.stage_switch.begin=1'),
    'model.generator.num_sample_steps=5',
]
LIST = [*QUIET, *EPOCH, 'train_cfg.max_epochs=2', 'default_hooks.stage_switch.begin=1']
TEST = [option for option in SCENES if option.startswith('test')] + QUIET
MODEL = ['--config', 'configs/diffusionret_shapes.py', '--checkpoint', 'CHECKPOINT']

# Document, what its line contains, and what makes it small. Each stands on those before it.
RUNS = [
    ('README.md', 'tools/train.py configs/diffusionret_shapes.py', TWO_STAGES),
    ('README.md', 'tools/test.py configs/diffusionret_shapes.py', TEST),
    ('README.md', 'text-video index', MODEL),
    ('README.md', 'text-video search', []),
    ('docs/get_started.md', 'text-video index', []),
    ('docs/get_started.md', 'text-video search', []),
    ('docs/guides/report.md', 'visualize.py retrieval', TEST),
    ('docs/guides/report.md', 'visualize.py curves', []),
    ('docs/shapes.md', 'shapes_to_vague.py', TEST),
    ('docs/methods/diffusionret.md', 'shapes_shuffled_frames.py', TEST),
    ('docs/guides/own_data.md', 'prepare.py json', []),
    ('docs/guides/own_data.md', 'diffusionret_own_tiny.py', LIST),
    ('docs/guides/add_similarity.md', 'train.py max_similarity_shapes.py', ONE_STAGE),
    ('docs/guides/add_similarity.md', 'tools/compare.py', ONE_STAGE),
    ('docs/guides/add_dataset.md', 'train.py folder.py', LIST),
    ('docs/guides/add_retriever.md', 'train.py halved_shapes.py', ONE_STAGE),
    ('docs/guides/add_backbone.md', 'train.py colours.py', ONE_STAGE),
    ('docs/methods/clip4clip.md', 'train.py', ONE_STAGE),
    ('docs/methods/drl.md', 'train.py', ONE_STAGE),
    ('docs/methods/emcl.md', 'train.py', ONE_STAGE),
    ('docs/methods/xpool.md', 'train.py', ONE_STAGE),
    ('docs/methods/tmass.md', 'train.py', ONE_STAGE),
    ('docs/methods/textdiff.md', 'train.py', ONE_STAGE),
    ('docs/methods/post_processing.md', 'post_process.py', []),
    ('docs/guides/convert.md', 'check_parity.py', []),
]
SAVED = re.compile(r'[Ss]ave (?:this|it) as\s+`(\w+\.py)`')
PYTHON = re.compile(r'^```python\n(.*?)^```', re.DOTALL | re.MULTILINE)


def save_files(document, folder):
    """Save the files of a guide under the names that it gives them."""
    text = (ROOT / document).read_text(encoding='utf-8')
    names, blocks = SAVED.findall(text), PYTHON.findall(text)
    assert len(names) == len(blocks) == 2
    for name, block in zip(names, blocks, strict=True):
        (folder / name).write_text(block)


def write_own_data(folder):
    """Ten clips with captions: as lists, and as a folder of clips and text files for each split."""
    clips = sorted((folder / 'data/shapes/videos').glob('*.mp4'))
    entries = []
    for place, split in enumerate(['train'] * 6 + ['val'] * 2 + ['test'] * 2):
        for target in (folder / 'data/own/clips', folder / 'data' / split):
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(clips[place], target / f'{place}.mp4')
        (folder / f'data/{split}/{place}.txt').write_text(f'clip number {place}\nanother one')
        entry = dict(video_id=str(place), video=f'clips/{place}.mp4', captions=[f'clip {place}'])
        entries.append((split, entry))
    for split in ('train', 'val', 'test'):
        listed = [entry for name, entry in entries if name == split]
        (folder / f'data/own/{split}.json').write_text(json.dumps(listed))


@pytest.fixture(scope='module')
def clone(tmp_path_factory):
    """A folder in which a reader types the commands."""
    folder = tmp_path_factory.mktemp('clone')
    for name in ('configs', 'tools'):
        (folder / name).symlink_to(ROOT / name)
    for document in ('similarity', 'dataset', 'retriever', 'backbone'):
        save_files(f'docs/guides/add_{document}.md', folder)
    rng = np.random.default_rng(0)
    for name, shape in (('SCORES', (6, 4)), ('BANK', (9, 4))):
        np.save(folder / f'{name}.npy', rng.random(shape, dtype=np.float32))
    np.save(folder / 'TRUTH.npy', np.array([0, 1, 2, 3, 0, 1]))
    return folder


def best_checkpoint(folder):
    found = (folder / 'work_dirs/diffusionret_shapes').glob('best_*.pth')
    return max(found, key=lambda path: int(path.stem.rpartition('_')[2]), default=None)


def fill_in(words, folder):
    """Put what a reader has in the places that are written in capitals."""
    best = str(best_checkpoint(folder))
    places = dict(
        CHECKPOINT=best,
        BEST_CHECKPOINT=best,
        VIDEOS='data/shapes/videos',
        GALLERY='shapes_gallery',
        GOLDEN_DIR=str(ROOT / 'tests/data/golden'),
    )
    for word in words:
        name = word.rpartition('/')[2]
        if name in places:
            yield places[name]
        elif '*' in word:
            yield from map(str, sorted(folder.glob(word)))
        else:
            yield word


def find(document, part):
    found = [entry for entry in COMMANDS if entry.document == document and part in entry.line]
    assert found, f'{document} has no command with {part}'
    return found[0]


def with_settings(words, added):
    """Add settings, or options, at the end of a command line."""
    if not added or added[0].startswith('--'):
        return [*words, *added]
    return [*words, *([] if '--cfg-options' in words else ['--cfg-options']), *added]


@pytest.mark.parametrize(('document', 'part', 'added'), RUNS, ids=lambda value: str(value)[:60])
def test_a_command_of_a_document_runs(clone, monkeypatch, capfd, document, part, added):
    monkeypatch.chdir(clone)
    monkeypatch.syspath_prepend(str(clone))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(clone), str(ROOT)]))
    command = find(document, part)
    if 'own_data' in document and not (clone / 'data/own').exists():
        write_own_data(clone)
    words = [*fill_in(with_settings(command.words, added), clone)]
    if '--seeds' in words:
        words[words.index('--seeds') + 1] = '1'
    status, message = run_words(words, command, monkeypatch)
    assert status == 0, message or capfd.readouterr().err[-2000:]
    check_outcome(SimpleNamespace(part=part, printed=capfd.readouterr().out, folder=clone))


def run_words(words, command, monkeypatch):
    if words[0] == 'text-video':
        try:
            text_video.main(words[1:])
        except SystemExit as ended:
            return ended.code or 0, ''
        return 0, ''
    start = words.index(command.tool)
    monkeypatch.setattr(sys, 'argv', words[start:])
    return run_main(command.tool.removeprefix('tools/').removesuffix('.py'))


def check_outcome(run):
    """Look at what a command leaves or prints, by its kind."""
    if 'train.py' in run.part or 'own_tiny' in run.part:
        config = re.search(r'(\w+)\.py$', run.part)
        name = config[1] if config and config[1] != 'train' else ''
        folders = (
            [run.folder / 'work_dirs' / name] if name else (run.folder / 'work_dirs').iterdir()
        )
        assert any((folder / 'metrics.json').is_file() for folder in folders)
    elif 'compare' in run.part:
        assert (
            '| max_similarity_shapes |'
            in (run.folder / 'work_dirs/comparison/comparison.md').read_text()
        )
    elif 'visualize' in run.part:
        assert 'pictures/' in run.printed
    elif 'search' in run.part:
        assert 'similarity' in run.printed
    assert torch.is_grad_enabled()
