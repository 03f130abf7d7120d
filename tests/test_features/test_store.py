import json

import numpy as np
import pytest
import torch

from diffusionret_mm.features import FeatureStore, FeatureWriter
from diffusionret_mm.features.store import MANIFEST, defect

MADE_OF = dict(weights='w', data='d')


@pytest.fixture
def cache(tmp_path, features):
    """A cache of five videos, which have one or two of seven texts each; and its features."""
    texts, videos = features()
    writer = FeatureWriter(tmp_path / 'cache')
    for rows in (slice(0, 3), slice(3, 7)):
        writer.append('words', texts.words[rows][texts.mask[rows]])
        writer.append('text_mask', texts.mask[rows])
        writer.append('pooled', texts.pooled[rows])
    writer.append('frames', videos.frames)
    writer.append('frame_mask', videos.mask)
    writer.append('video_index', torch.arange(5))
    writer.append('texts_of_video', torch.tensor([1, 2, 1, 2, 1]))
    writer.finish(MADE_OF)
    writer.close()
    return tmp_path / 'cache', texts, videos


def test_rows_come_back_in_any_order(cache):
    root, texts, videos = cache
    store = FeatureStore.open(root)
    assert store.video_of_text.tolist() == [0, 1, 1, 2, 3, 3, 4]
    rows = np.array([6, 0, 3, 3])
    found = store.texts(rows)
    assert found.mask.equal(texts.mask[rows])
    assert found.pooled.equal(texts.pooled[rows])
    assert found.words.equal((texts.words * texts.mask[..., None])[rows])
    found = store.videos(np.array([4, 1]))
    assert found.frames.equal(videos.frames[[4, 1]])
    assert found.mask.equal(videos.mask[[4, 1]])


def test_a_whole_cache_has_no_defect(cache):
    assert defect(cache[0], MADE_OF) is None


def test_what_changed_is_named(cache):
    assert defect(cache[0], dict(MADE_OF, data='other')) == 'it was made of other data'
    assert defect(cache[0], dict(MADE_OF, new='x')) == 'it was made of other new'


def test_a_file_cut_short_or_missing_is_found(cache):
    file = cache[0] / 'frames.bin'
    whole = file.read_bytes()
    file.write_bytes(whole[:-4])
    assert 'frames.bin has 5,116 bytes in place of 5,120' in defect(cache[0], MADE_OF)
    file.unlink()
    assert 'frames.bin has 0 bytes' in defect(cache[0], MADE_OF)


@pytest.mark.parametrize('content', ['{"fingerprint": {', '[]', json.dumps(dict(arrays={}))])
def test_a_broken_manifest_is_found(cache, content):
    (cache[0] / MANIFEST).write_text(content)
    assert 'cannot be read' in defect(cache[0], MADE_OF)


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    assert defect(tmp_path, {}) == 'there is none yet'
    (tmp_path / 'thesis.tex').touch()
    with pytest.raises(FileExistsError, match='is no feature cache'):
        defect(tmp_path, {})


def test_rows_of_another_shape(tmp_path):
    writer = FeatureWriter(tmp_path / 'cache')
    writer.append('frames', torch.zeros(2, 4, 8))
    with pytest.raises(ValueError, match=r'Rows of frames have the shape \[5, 8\]'):
        writer.append('frames', torch.zeros(2, 5, 8))
    writer.close()
