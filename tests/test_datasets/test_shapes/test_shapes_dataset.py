"""The data set as a config names it."""

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.shapes import ShapesDataset, build, dataset

SMALL = {'train': 2, 'val': 1, 'test': 1}


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    return str(tmp_path_factory.mktemp('data') / 'shapes')


def build_dataset(data_root, **options):
    return DATASETS.build(
        dict(type='ShapesDataset', data_root=data_root, num_scenes=SMALL, **options)
    )


def test_renders_when_first_used(data_root, monkeypatch):
    train = build_dataset(data_root)
    assert isinstance(train, ShapesDataset)
    assert len(train) == 6
    monkeypatch.setattr(build, '_render_all', lambda *_: pytest.fail('rendered again'))
    test = build_dataset(data_root, split='test', test_mode=True)
    assert len(test) == 3
    info = test.get_data_info(1)
    assert info['video_id'] == 'test_0000_reversed'
    assert info['group'] == 'test_0000'
    assert len(info['captions']) == 4


def test_frames_come_through_the_pipeline(data_root):
    pipeline = [
        {
            'type': 'mmaction.DecodeVideo',
            'sample': {'type': 'mmaction.SampleVideoFrames', 'num_frames': 8},
        },
        {'type': 'mmaction.Resize', 'scale': (64, 64), 'keep_ratio': False},
    ]
    item = build_dataset(data_root, pipeline=pipeline)[0]
    assert [image.shape for image in item['imgs']] == [(64, 64, 3)] * 8


def test_unknown_split(data_root):
    with pytest.raises(ValueError, match="got 'validation'"):
        build_dataset(data_root, split='validation')


@pytest.mark.parametrize('main', [True, False])
def test_main_process_renders_before_the_others_look(data_root, monkeypatch, main):
    calls = []
    monkeypatch.setattr(dataset, 'is_main_process', lambda: main)
    monkeypatch.setattr(dataset, 'barrier', lambda: calls.append('barrier'))
    monkeypatch.setattr(dataset, 'render_shapes', lambda *_, **__: calls.append('render'))
    build_dataset(data_root)
    assert calls == (['render', 'barrier'] if main else ['barrier', 'render'])


def test_error_of_the_main_process_does_not_block_the_others(data_root, monkeypatch):
    calls = []
    monkeypatch.setattr(dataset, 'barrier', lambda: calls.append('barrier'))
    with pytest.raises(ValueError, match='seed=9'):
        build_dataset(data_root, render_seed=9)
    assert calls == ['barrier']


def test_vague_captions_come_with_their_answers(data_root):
    data = build_dataset(data_root, split='test', captions='vague', test_mode=True)
    info = data.get_data_info(0)
    assert len(info['captions']) == len(info['answers']) == 2
    assert all(info['video_id'] in fitting for fitting in info['answers'])


def test_training_on_both_kinds_of_captions(data_root):
    full, both = (
        build_dataset(data_root, captions=name)[0]['captions'] for name in ('full', 'both')
    )
    assert both[:4] == full
    assert len(both) == 6


def test_a_shifted_set_has_a_test_split_only(tmp_path):
    with pytest.raises(ValueError, match=r"one of \('test',\); got 'train'"):
        build_dataset(str(tmp_path), shift='look')


def test_unknown_captions(data_root):
    with pytest.raises(ValueError, match="captions must be .* got 'none'"):
        build_dataset(data_root, captions='none')
