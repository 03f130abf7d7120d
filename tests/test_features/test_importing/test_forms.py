"""Every form holds the same features."""

import json
import pickle

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from feature_forms import FORMS, write_form, write_tar

ORDER = [1, 2, 0]  # rows of the videos v0, v1, v2, in the order of the texts


def assert_holds(store, data):
    videos, texts = store.videos(np.arange(3)), store.texts(np.arange(4))
    np.testing.assert_array_equal(videos.frames, data.videos['features'][ORDER])
    np.testing.assert_array_equal(videos.mask, data.videos['mask'][ORDER])
    mask = data.texts['mask']
    np.testing.assert_array_equal(texts.words, data.texts['features'] * mask[..., None])
    np.testing.assert_array_equal(texts.mask, mask)
    np.testing.assert_array_equal(texts.pooled, data.texts['pooled'])
    assert store.texts_of_video.tolist() == [2, 1, 1]


@pytest.mark.parametrize('form', FORMS)
def test_frames_and_words_with_masks(form, data, import_tool, tmp_path):
    folder = write_form(form, tmp_path / 'source', data.videos, data.texts)
    printed, store = import_tool(folder)
    assert_holds(store, data)
    assert printed.splitlines()[2].split() == ['videos', '3', '3', *'00000']
    assert printed.splitlines()[3].split() == ['texts', '4', '4', *'00000']
    entries = json.loads((tmp_path / 'imported/videos.json').read_text())
    assert entries[0] == dict(video_id='v0', captions=['v0#0', 'v0#1'])


@pytest.mark.parametrize('form', FORMS)
def test_one_vector_a_video_and_text(form, flat, import_tool, tmp_path):
    folder = write_form(form, tmp_path / 'source', flat.videos, flat.texts)
    _, store = import_tool(folder)
    videos, texts = store.videos(np.arange(3)), store.texts(np.arange(4))
    np.testing.assert_array_equal(videos.frames[:, 0], flat.videos['features'][ORDER])
    assert videos.mask.all()
    assert texts.mask.shape == (4, 1)
    np.testing.assert_array_equal(texts.pooled, flat.texts['features'])
    np.testing.assert_array_equal(texts.words[:, 0], flat.texts['features'])


def test_a_file_for_each_video_and_text(data, import_tool, tmp_path):
    for side, lengths in (('videos', [4, 2, 3]), ('texts', [2, 5, 3, 4])):
        (tmp_path / 'source' / side).mkdir(parents=True)
        values = getattr(data, side)
        for key, rows, length in zip(values['ids'], values['features'], lengths, strict=True):
            np.save(tmp_path / 'source' / side / f'{key}.npy', rows[:length])
    _, store = import_tool(tmp_path / 'source', '--pooled', 'last')
    videos, mask = store.videos(np.arange(3)), data.videos['mask'][ORDER]
    np.testing.assert_array_equal(videos.frames, data.videos['features'][ORDER] * mask[..., None])
    np.testing.assert_array_equal(videos.mask, mask)
    last = [
        rows[mask][-1]
        for rows, mask in zip(data.texts['features'], data.texts['mask'], strict=True)
    ]
    np.testing.assert_array_equal(store.pooled(np.arange(4)), np.stack(last))


@pytest.mark.parametrize('kind', ['npz', 'pkl', 'h5', 'pt'])
def test_an_entry_for_each_video_and_both_sides_in_one_file(kind, flat, import_tool, tmp_path):
    values = {
        f'{side}/{key}': row
        for side in ('videos', 'texts')
        for key, row in zip(
            getattr(flat, side)['ids'], getattr(flat, side)['features'], strict=True
        )
    }
    path = tmp_path / f'both.{kind}'
    WRITERS[kind](path, values)
    _, store = import_tool(path)
    assert store.num_texts == 4
    np.testing.assert_array_equal(
        store.videos(np.arange(3)).frames[:, 0], flat.videos['features'][ORDER]
    )


def _write_pkl(path, values):
    nested = {'videos': {}, 'texts': {}}
    for name, row in values.items():
        side, _, key = name.partition('/')
        nested[side][key] = row
    path.write_bytes(pickle.dumps(nested, protocol=5))


def _write_h5(path, values):
    with h5py.File(path, 'w') as file:
        for name, row in values.items():
            file[name] = row


def _write_pt(path, values):
    torch.save({name: torch.from_numpy(row) for name, row in values.items()}, path)


WRITERS = dict(
    npz=lambda path, values: np.savez(path, **values), pkl=_write_pkl, h5=_write_h5, pt=_write_pt
)


def test_the_folders_of_clip_retrieval(flat, import_tool, tmp_path):
    rows = {key: flat.videos['features'][row] for row, key in enumerate(flat.videos['ids'])}
    shards = (['v0', 'v1'], ['v2'])
    for number, keys in enumerate(shards):
        features = np.stack([rows[key] for key in keys])
        for name, values in (('img_emb', features), ('text_emb', 2 * features)):
            (tmp_path / 'source' / name).mkdir(parents=True, exist_ok=True)
            np.save(tmp_path / 'source' / name / f'{name}_{number}.npy', values.astype(np.float16))
        (tmp_path / 'source/metadata').mkdir(exist_ok=True)
        table = pyarrow.table(dict(image_path=keys, caption=[f'a film of {key}' for key in keys]))
        pyarrow.parquet.write_table(table, tmp_path / f'source/metadata/metadata_{number}.parquet')
    _, store = import_tool(tmp_path / 'source')
    expected = np.stack([rows[key] for key in ('v0', 'v1', 'v2')]).astype(np.float16)
    np.testing.assert_array_equal(store.videos(np.arange(3)).frames[:, 0], expected)
    np.testing.assert_array_equal(store.pooled(np.arange(3)), 2 * expected)
    entries = json.loads((tmp_path / 'imported/videos.json').read_text())
    assert entries[2]['captions'] == ['a film of v2']


def test_shards_of_webdataset_and_names_of_their_own(flat, import_tool, tmp_path):
    for number, rows in enumerate(([0, 1], [2])):
        (tmp_path / 'shards').mkdir(exist_ok=True)
        part = {name: values[rows] for name, values in flat.videos.items()}
        write_tar(tmp_path / 'shards', f'{number:05d}', part)
    np.savez(tmp_path / 't.npz', sentence=flat.texts['features'], names=flat.texts['ids'])
    _, store = import_tool(
        *('--videos', tmp_path / 'shards', '--texts', tmp_path / 't.npz'),
        *('--names', 'videos.ids=key', 'texts.features=sentence', 'texts.ids=names'),
    )
    np.testing.assert_array_equal(
        store.videos(np.arange(3)).frames[:, 0], flat.videos['features'][ORDER]
    )


def test_other_dtypes_become_float32(flat, import_tool, tmp_path):
    half = torch.from_numpy(flat.videos['features']).bfloat16()
    content = dict(features=half, ids=flat.videos['ids'].tolist())
    torch.save(content, tmp_path / 'v.pt', _use_new_zipfile_serialization=False)  # of old versions
    double = flat.texts['features'].astype(np.float64)
    np.savez(tmp_path / 't.npz', features=double, ids=flat.texts['ids'])
    _, store = import_tool('--videos', tmp_path / 'v.pt', '--texts', tmp_path / 't.npz')
    np.testing.assert_array_equal(store.videos(np.arange(3)).frames[:, 0], half.float()[ORDER])
    np.testing.assert_array_equal(store.pooled(np.arange(4)), flat.texts['features'])
