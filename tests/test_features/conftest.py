"""A small training set, and the cache of its features."""

import json

import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmengine.registry import DefaultScope

from diffusionret_mm.features import WholeVideos, cache_features, open_or_build

PIPELINE = [
    dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=4)),
    dict(type='CLIPResizeCrop', size=32),
    dict(type='TokenizeCaptions', max_words=8),
    dict(type='PackTextVideoInputs'),
]
# Names of videos and their numbers of captions; a clip of 3 frames is padded.
VIDEOS = dict(a=3, b=1, c=2, d=4, e=2)


@pytest.fixture(autouse=True)
def default_scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture
def make_set(tmp_path, write_clip):
    """A function that builds the training set."""
    entries = []
    for number, (name, count) in enumerate(VIDEOS.items()):
        write_clip(tmp_path / f'{name}.mp4', num_frames=3 + 3 * number)
        captions = [f'{name} is video {"very " * index}{index}' for index in range(count)]
        entries.append(dict(video_id=name, video=f'{name}.mp4', captions=captions))
    (tmp_path / 'ann.json').write_text(json.dumps(entries))

    def make(**options):
        cfg = dict(
            type='TextVideoDataset', data_root=str(tmp_path), ann_file='ann.json', pipeline=PIPELINE
        )
        return DATASETS.build(cfg | options)

    return make


@pytest.fixture
def make_model(tiny_model_cfg):
    """A function that builds a model with a frozen extractor."""

    def make(**options):
        torch.manual_seed(0)
        return MODELS.build(tiny_model_cfg | dict(stage='generation') | options)

    return make


@pytest.fixture
def build(tmp_path):
    """A function that builds the cache of a training set."""

    def build_cache(dataset, model, **options):
        def fill(writer):
            options.setdefault('log', print)
            cache_features(
                writer, model, WholeVideos(dataset), batch_size=2, num_workers=0, **options
            )

        return open_or_build(tmp_path / 'work' / 'cache', {}, fill, print)

    return build_cache


@pytest.fixture
def pipeline():
    """The transforms of the training set, which draw nothing."""
    return [*PIPELINE]
