"""Loader workers give the same items however their processes are started."""

import json
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import processes  # noqa: F401  the forkserver that the tests share imports torch once
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import diffusionret_mm.datasets  # noqa: F401
from diffusionret_mm.datasets.preparation import check_dataset, frame_transforms, store_frames

SAMPLE = dict(type='SampleVideoFrames', num_frames=4, rule='random')
END = [dict(type='TokenizeCaptions', max_words=12), dict(type='PackTextVideoInputs')]
RESIZE = dict(type='CLIPResizeCrop', size=32)


@pytest.fixture
def root(tmp_path, write_clip):
    """A data set of six videos in JSON, its frames stored."""
    entries = []
    for number in range(6):
        write_clip(tmp_path / f'v{number}.mp4', 12 + number)
        captions = [f'a cat {number}', f'a dog {number}', f'a bird {number}']
        entry = dict(video_id=f'v{number}', video=f'v{number}.mp4', captions=captions)
        entries.append(entry | dict(group=str(number % 2)))
    (tmp_path / 'train.json').write_text(json.dumps(entries))
    with DefaultScope.overwrite_default_scope('mmaction'):
        preparation = check_dataset('json', tmp_path, tmp_path, tmp_path / 'manifest.json', 1)
        store_frames(preparation, tmp_path / 'frames', frame_transforms(4, 32), 1)
        yield tmp_path


def pipelines(root=Path()):
    return {
        'random': [dict(type='DecodeVideo', sample=SAMPLE), RESIZE, dict(type='ShuffleFrames')],
        'published': [
            dict(
                type='DecodeVideo',
                sample=dict(type='SampleVideoFrames', num_frames=4, rule='whole_seconds'),
                decoders=['opencv_seeks', 'decord', 'pyav'],
            ),
            RESIZE,
        ],
        'mmaction': [
            dict(type='DecordInit'),
            SAMPLE | dict(rule='uniform'),
            dict(type='DecordDecode'),
            RESIZE,
        ],
        'cached': [dict(type='CacheInMemory', transforms=frame_transforms(4, 32))],
        'stored': [
            dict(
                type='LoadStoredFrames',
                store=str(root / 'frames'),
                transforms=frame_transforms(4, 32),
            )
        ],
    }


def loader_of(root, name, method, sampler='DefaultSampler', **options):
    dataset = dict(
        type='TextVideoDataset',
        data_root=str(root),
        ann_file='train.json',
        pipeline=pipelines(root)[name] + END,
        captions_per_video=1,
    )
    workers = dict(multiprocessing_context=method, num_workers=1, persistent_workers=True)
    return Runner.build_dataloader(
        dict(
            dataset=dataset,
            batch_size=2,
            sampler=dict(type=sampler),
            collate_fn=dict(type='pseudo_collate'),
            **(workers if method else {}),
            **options,
        ),
        seed=3,
    )


def two_epochs(loader):
    """The inputs of all items of two epochs, in their order."""
    items = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        loader.dataset.set_epoch(epoch, 3)
        for batch in loader:
            inputs = batch['inputs']
            items += [
                dict(zip(inputs, item, strict=True)) for item in zip(*inputs.values(), strict=True)
            ]
    return items


def assert_same(items, expected):
    assert len(items) == len(expected) == 12
    for item, other in zip(items, expected, strict=True):
        assert item.keys() == other.keys()
        for key, value in item.items():
            torch.testing.assert_close(value, other[key], rtol=0, atol=0)


@pytest.mark.parametrize('name', ['random', 'published', 'mmaction', 'cached', 'stored'])
def test_each_pipeline_goes_to_a_forkserver(root, name):
    expected = two_epochs(loader_of(root, name, None))
    assert_same(two_epochs(loader_of(root, name, 'forkserver')), expected)


def test_groups_and_a_spawned_worker(root):
    expected = two_epochs(loader_of(root, 'random', None, 'GroupSampler'))
    spawned = loader_of(root, 'random', 'spawn', 'GroupSampler')
    assert_same(two_epochs(spawned), expected)
    # What the worker counts is seen here.
    assert spawned.dataset.pipeline.transforms[0].reads == {'pyav': 12}


@pytest.mark.parametrize('kind', ['msrvtt', 'msvd', 'lsmdc', 'activitynet', 'didemo'])
def test_public_data_sets_can_be_sent(official, kind):
    from diffusionret_mm.datasets.preparation import data_sets

    cls = data_sets()[kind]
    options = cls.splits[0].options
    dataset = dict(type=cls.__name__, data_root=str(official(kind)), **options)
    with DefaultScope.overwrite_default_scope('mmaction'):
        built = DATASETS.build(dataset | dict(pipeline=pipelines()['random'] + END))
    assert len(bytes(ForkingPickler.dumps(built)))
