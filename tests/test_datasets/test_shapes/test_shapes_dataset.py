"""The data set as a config names it."""

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.shapes import ShapesDataset, build, dataset
from diffusionret_mm.datasets.shapes.clips import draw_clips, relations_of

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


def test_relatives_are_the_twins_of_a_scene(data_root):
    relatives = build_dataset(data_root, split='train').relatives()
    assert len(relatives) == 6
    assert set(relatives['train_0001_changed']) == {'train_0001_original', 'train_0001_reversed'}
    kinds = {name: one.kind for name, one in relatives['train_0000_original'].items()}
    assert kinds.pop('train_0000_reversed') == 'reversed twin'
    assert kinds['train_0000_changed'] in ('twin of another shape', 'twin of another colour')


def test_relatives_of_another_version_are_refused(tmp_path):
    root = tmp_path / 'shapes'
    small = build_dataset(str(root), split='test')
    file = root / 'test.json'
    file.write_text(file.read_text().replace('then', 'and'))
    with pytest.raises(ValueError, match='of another version'):
        small.relatives()


def test_the_changed_twin_names_both_shapes():
    clips = draw_clips(0, {'train': 40, 'val': 1, 'test': 1}, 1)['train']
    relations = relations_of(clips)
    for original, changed in zip(clips[::3], clips[2::3], strict=True):
        (pair,) = (
            (old, new)
            for old, new in zip(original.scene.figures, changed.scene.figures, strict=True)
            if old != new
        )
        shapes = {figure.shape for figure in pair}
        relation = relations[changed.video_id][original.video_id]
        assert set(filter(None, relation.detail.split(' / '))) == (
            shapes if len(shapes) > 1 else set()
        )
        assert ('shape' in relation.kind) == (len(shapes) > 1)


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
