"""The commands of README and guides are run, in order, with small settings.

The words are those of the documents. What is added makes runs small: few scenes, two epochs, and a
checkpoint of such a run in the place of the one that a reader has.
"""

import json
import os
import re
import shutil
import sys
import time

import numpy as np
import pytest
from document_commands import COMMANDS, ROOT
from own_parts import forget_parts
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

# Document, what its line contains, what makes it small, and what it leaves or prints. Each
# stands on those before it.
METRICS = 'work_dirs/{}/metrics.json'
SIMILARITY = 'max_similarity_shapes'
RUNS = [
    ('README.md', 'tools/train.py', TWO_STAGES, METRICS.format('diffusionret_shapes')),
    ('README.md', 'tools/test.py', TEST, 'metrics.json'),
    ('README.md', 'text-video index', MODEL, 'shapes_gallery/spans.lance'),
    ('README.md', 'text-video search', [], 'similarity'),
    ('docs/get_started.md', 'text-video index', [], 'gallery/spans.lance'),
    ('docs/get_started.md', 'text-video search', [], 'similarity'),
    ('docs/guides/report.md', 'visualize.py retrieval', TEST, 'pictures/retrieval_*.png'),
    ('docs/guides/report.md', 'visualize.py curves', [], 'pictures/*curves*.png'),
    ('docs/shapes.md', 'shapes_to_vague.py', TEST, 'mAP'),
    ('docs/methods/diffusionret.md', 'shapes_shuffled', TEST, 'text -> video'),
    ('docs/guides/own_data.md', 'prepare.py json', [], 'data/own/manifest.json'),
    ('docs/guides/own_data.md', 'own_tiny.py', LIST, METRICS.format('diffusionret_own_tiny')),
    (
        'docs/guides/add_similarity.md',
        'train.py',
        ONE_STAGE,
        METRICS.format(SIMILARITY),
    ),
    ('docs/guides/add_similarity.md', 'compare.py', ONE_STAGE, f'| {SIMILARITY} |'),
    ('docs/guides/add_dataset.md', 'train.py', LIST, METRICS.format('folder')),
    ('docs/guides/add_retriever.md', 'train.py', ONE_STAGE, METRICS.format('halved_shapes')),
    ('docs/guides/add_backbone.md', 'train.py', ONE_STAGE, METRICS.format('colours')),
    *(
        (f'docs/methods/{name}.md', 'train.py', ONE_STAGE, METRICS.format(f'{name}_shapes'))
        for name in ('clip4clip', 'drl', 'emcl', 'xpool', 'tmass', 'textdiff')
    ),
    ('docs/methods/post_processing.md', 'post_process.py', [], 'metrics.json'),
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
    yield folder
    forget_parts(*(path.stem for path in folder.glob('*.py')))


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
    )
    for word in words:
        name = word.rpartition('/')[2]
        if name in places:
            yield places[name]
        elif '*' in word:
            yield from map(str, sorted(folder.glob(word)))
        else:
            yield word


def name_of(value):
    return value if isinstance(value, str) else ''


def find(document, part):
    found = [entry for entry in COMMANDS if entry.document == document and part in entry.line]
    assert found, f'{document} has no command with {part}'
    return found[0]


def with_settings(words, added):
    """Add settings, or options, at the end of a command line."""
    if not added or added[0].startswith('--'):
        return [*words, *added]
    return [*words, *([] if '--cfg-options' in words else ['--cfg-options']), *added]


@pytest.mark.timeout(900)  # the comparison starts two Pythons
@pytest.mark.parametrize(('document', 'part', 'added', 'outcome'), RUNS, ids=name_of)
def test_a_command_of_a_document_runs(clone, monkeypatch, capfd, document, part, added, outcome):
    monkeypatch.chdir(clone)
    monkeypatch.syspath_prepend(str(clone))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(clone), str(ROOT)]))
    command = find(document, part)
    if document.endswith('own_data.md') and not (clone / 'data/own').exists():
        write_own_data(clone)
    words = [*fill_in(with_settings(command.words, added), clone)]
    started = time.time()
    status, message = run_words(words, command.tool, monkeypatch)
    printed = capfd.readouterr()
    assert status == 0, message or printed.err[-2000:]
    left = [path for path in clone.glob(outcome) if path.stat().st_mtime > started - 1]
    assert left or outcome in printed.out


def run_words(words, tool, monkeypatch):
    """Run a command in this process; return its status, and the message that it ends with."""
    if words[0] == 'text-video':
        text_video.main(words[1:])
        return 0, ''
    monkeypatch.setattr(sys, 'argv', words[words.index(tool) :])
    return run_main(tool.removeprefix('tools/').removesuffix('.py'))
