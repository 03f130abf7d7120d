"""What a run directory tells about the run."""

import json
import subprocess
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config

from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.run import test_retriever as evaluate
from diffusionret_mm.engine.run_record import append_record, protocol_of, source_state

ROOT = Path(__file__).parents[2]


def test_each_start_of_a_run_is_recorded(make_cfg, tmp_path):
    options = {'train_cfg.max_epochs': 1, 'test_evaluator.ties': 'published'}
    train_retriever(make_cfg(**options))
    train_retriever(make_cfg(resume='auto', **options))
    best = next((tmp_path / 'run').glob('best_*'))
    alone = {'model.stage': 'discrimination'}
    evaluate(make_cfg(**options, **alone), str(best), out=None)
    path = tmp_path / 'run' / 'run.json'
    first, second, third = json.loads(path.read_text())
    assert (first['kind'], first['resumed'], first['iteration']) == ('train', False, 0)
    assert (second['kind'], second['resumed'], second['iteration']) == ('train', True, 3)
    assert second['went_on_from'] == str(tmp_path / 'run' / 'epoch_1.pth')
    assert (third['kind'], third['went_on_from']) == ('test', str(best))
    assert first['seed'] == 0
    assert (first['processes'], first['global_batch']) == (1, 6)
    assert first['config'].endswith('configs/diffusionret_shapes.py')
    assert first['environment']['packages']['mmengine'] == mmengine.__version__
    sizes = {key: (data['videos'], data['captions']) for key, data in first['data'].items()}
    assert sizes == dict(train=(18, 72), val=(6, 24), test=(6, 24))
    (file, checksum), *_ = first['data']['val']['files'].items()
    assert file.endswith('shapes/val.json')
    assert len(checksum) == 64
    assert first['protocol']['test_evaluator.ties'] == 'published'
    assert first['source'] is None or len(first['source']['commit']) == 40


def test_the_protocol_names_the_decoder_and_the_frames():
    protocol = protocol_of(Config.fromfile(ROOT / 'configs/published/diffusionret_msrvtt.py'))
    assert protocol['choose_on_test'] is True
    assert protocol['train_dataloader.dataset.item'] == 'caption'
    assert protocol['optim_wrapper.optimizer.type'] == 'BertAdam'
    first = protocol['test_dataloader.dataset.pipeline'][0]
    assert first.startswith('DecodeVideo(')
    assert 'opencv' in first
    assert 'whole_seconds' in first


def test_the_state_of_the_source(tmp_path):
    assert source_state(tmp_path) is None
    git = ['git', '-C', str(tmp_path), '-c', 'user.name=a', '-c', 'user.email=a@b']
    (tmp_path / '__init__.py').touch()
    for command in (['init', '-q'], ['add', '.'], ['commit', '-qm', 'Begin']):
        subprocess.run([*git, *command], check=True)
    clean = source_state(tmp_path)
    assert clean['changed'] == []
    (tmp_path / '__init__.py').write_text('x = 1')
    assert source_state(tmp_path) == dict(clean, changed=[' M __init__.py'])


@pytest.mark.parametrize('content', ['', '{', '{}'])
def test_a_damaged_record_is_replaced(tmp_path, content):
    path = tmp_path / 'run.json'
    path.write_text(content)
    append_record(path, dict(kind='train'))
    append_record(path, dict(kind='test'))
    assert [record['kind'] for record in json.loads(path.read_text())] == ['train', 'test']
