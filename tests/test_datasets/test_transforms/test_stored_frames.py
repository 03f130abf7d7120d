import copy
import json
import os
import pickle

import numpy as np
import pytest
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.preparation import check_dataset, frame_transforms, store_frames
from diffusionret_mm.datasets.preparation import frame_store as store_module

TRANSFORMS_OF_FRAMES = frame_transforms(4, 32)
REST = [dict(type='TokenizeCaptions', max_words=8), dict(type='PackTextVideoInputs')]


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture
def prepare(tmp_path, write_clip):
    """A function that checks a data set of three clips; one has fewer frames than are sampled."""
    for name, frames in dict(a=12, b=3, c=20).items():
        write_clip(tmp_path / f'{name}.mp4', num_frames=frames)
    entries = [dict(video_id=name, video=f'{name}.mp4', captions=[name]) for name in 'abc']
    (tmp_path / 'train.json').write_text(json.dumps(entries))
    return lambda: check_dataset('json', tmp_path, tmp_path, tmp_path / 'manifest.json', workers=2)


@pytest.fixture
def store(tmp_path, prepare):
    """The folder of the stored frames."""
    store_frames(prepare(), tmp_path / 'store', TRANSFORMS_OF_FRAMES, workers=2)
    return tmp_path / 'store'


def load(store, transforms=TRANSFORMS_OF_FRAMES):
    return dict(type='LoadStoredFrames', store=str(store), transforms=transforms)


def items(root, steps):
    cfg = dict(type='TextVideoDataset', data_root=str(root), ann_file='train.json')
    dataset = DATASETS.build(cfg | dict(pipeline=[*steps, *REST]))
    return [dataset[index] for index in range(len(dataset))]


def test_stored_frames_equal_decoding(tmp_path, store):
    decoded, stored = items(tmp_path, TRANSFORMS_OF_FRAMES), items(tmp_path, [load(store)])
    assert decoded[0]['inputs']['frames'].any()
    assert decoded[1]['inputs']['frame_mask'].tolist() == [True, True, True, False]
    for one, other in zip(decoded, stored, strict=True):
        for key, value in one['inputs'].items():
            assert value.equal(other['inputs'][key]), key


def test_defaults_written_out_are_the_same_transforms(store):
    transforms = copy.deepcopy(TRANSFORMS_OF_FRAMES)
    transforms[0]['decoders'] = ('pyav',)
    TRANSFORMS.build(load(store, transforms))


@pytest.mark.parametrize('changed', [frame_transforms(3, 32), frame_transforms(4, 16)])
def test_a_store_of_other_transforms_is_refused(store, changed):
    with pytest.raises(ValueError, match='were made by other transforms'):
        TRANSFORMS.build(load(store, changed))


def test_a_changed_video_is_refused(tmp_path, store):
    os.utime(tmp_path / 'b.mp4', ns=(1, 1))
    with pytest.raises(ValueError, match=r'b\.mp4 \(b\) is not what .* were made of'):
        items(tmp_path, [load(store)])


def test_another_part_or_another_video_is_refused(tmp_path, store):
    transform = TRANSFORMS.build(load(store))
    path = str(tmp_path / 'a.mp4')
    with pytest.raises(ValueError, match=r"'end': 3\.0"):
        transform(dict(video_id='a', filename=path, end=3.0))
    with pytest.raises(ValueError, match="'d' is not in"):
        transform(dict(video_id='d', filename=path))


def test_random_frames_are_not_stored(tmp_path, prepare):
    transforms = [
        dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', rule='random')),
        dict(type='CLIPResizeCrop'),
    ]
    with pytest.raises(ValueError, match='draws at random'):
        store_frames(prepare(), tmp_path / 'store', transforms)
    assert not (tmp_path / 'store').exists()


def test_a_store_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'index\.json does not exist; store the frames'):
        TRANSFORMS.build(load(tmp_path))


def test_a_video_that_cannot_be_decoded_is_left_out_and_named(tmp_path, prepare):
    preparation = prepare()
    (tmp_path / 'c.mp4').write_bytes(b'no video' * 100)
    text = store_frames(preparation, tmp_path / 'store', TRANSFORMS_OF_FRAMES)
    assert '7 frames of 2 videos' in text
    assert 'c could not be read: ' in text
    transform = TRANSFORMS.build(load(tmp_path / 'store'))
    with pytest.raises(VideoReadError, match='could not be read when'):
        transform(dict(video_id='c', filename=str(tmp_path / 'c.mp4')))


def test_a_killed_run_continues(tmp_path, prepare, store, monkeypatch):
    whole = (store / 'frames.npy').read_bytes()
    run = store_module.run_in_parallel
    counted = []

    def stop_after_one(function, tasks, *args):
        counted.append(len(tasks))
        results = run(function, tasks, *args)
        yield next(results)
        raise KeyboardInterrupt

    monkeypatch.setattr(store_module, 'run_in_parallel', stop_after_one)
    target = tmp_path / 'again'
    with pytest.raises(KeyboardInterrupt):
        store_frames(prepare(), target, TRANSFORMS_OF_FRAMES)
    assert not (target / 'index.json').exists()
    with (target / '.journal').open('a') as journal:
        journal.write('["b", 3')  # killed while writing
    monkeypatch.setattr(
        store_module,
        'run_in_parallel',
        lambda function, tasks, *args: counted.append(len(tasks)) or run(function, tasks, *args),
    )
    store_frames(prepare(), target, TRANSFORMS_OF_FRAMES)
    assert counted == [3, 3, 2]  # for the size of a frame, for all, for the rest
    assert (target / 'frames.npy').read_bytes() == whole
    assert sorted(path.name for path in target.iterdir()) == ['frames.npy', 'index.json']
    assert 'already' in store_frames(prepare(), target, TRANSFORMS_OF_FRAMES)
    assert counted == [3, 3, 2]  # for the size of a frame, for all, for the rest


def test_workers_get_no_copy_of_the_frames(tmp_path, store):
    transform = TRANSFORMS.build(load(store))
    results = dict(video_id='a', filename=str(tmp_path / 'a.mp4'))
    images = transform(dict(results))['imgs']
    content = pickle.dumps(transform)
    assert len(content) < 4000
    again = pickle.loads(content)(dict(results))['imgs']
    np.testing.assert_array_equal(np.stack(images), np.stack(again))
