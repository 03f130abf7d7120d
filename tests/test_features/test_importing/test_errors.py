"""What cannot be imported rightly is refused in one sentence that names file and key."""

import json
import os
import pickle
import tarfile

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from feature_forms import write_form


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.fixture
def write(flat, tmp_path):
    """A function that writes a source of both sides, changed as it is told."""

    def make(change=None, form='npz'):
        if change is not None:
            change(flat)
        return write_form(form, tmp_path / 'source', flat.videos, flat.texts)

    return make


def not_a_number(flat):
    flat.videos['features'][1, 3] = np.nan


def infinite(flat):
    flat.texts['features'][2, 0] = np.inf


def narrow(flat):
    flat.texts['features'] = flat.texts['features'][:, :6]


def other_ids(flat):
    flat.texts['ids'] = np.array(['a', 'b', 'c', 'd'])


def twice(flat):
    flat.videos['ids'] = np.array(['v0', 'v0', 'v1'])


def too_few_ids(flat):
    flat.videos['ids'] = flat.videos['ids'][:2]


def unnamed(flat):
    del flat.videos['ids']


def without_a_video(flat):
    flat.texts['ids'] = np.array(['v0#0', 'v0#1', 'v1', 'v7#0'])


def of_texts(flat):
    flat.videos['features'] = np.array([['a'], ['b'], ['c']])


CHANGES = {
    not_a_number: "are not finite (NaN or infinite): {0}/videos.npz, row 1 (id 'v0').",
    infinite: "texts are not finite (NaN or infinite): {0}/texts.npz, row 2 (id 'v1').",
    narrow: 'Videos have the width 8 and texts 6; both must be of one space.',
    other_ids: "No text belongs to a video by the ids: ids of videos are such as 'v2', 'v0', 'v1',",
    twice: "{0}/videos.npz, row 1 (id 'v0'): there are features of 'v0' already; an id has one.",
    too_few_ids: '{0}/videos.npz: 2 ids for the 3 rows of the features.',
    unnamed: "{0}/videos.npz has 'features' and no 'ids' with an id for each row; its names are",
    without_a_video: "1 videos are named by the ids and have no features: 'v7'; add them, or leave",
    of_texts: "{0}/videos.npz, row 0 (id 'v2'): numbers are expected; it holds <U1.",
}


@pytest.mark.parametrize(('change', 'message'), CHANGES.items(), ids=lambda value: str(value)[:20])
def test_features_that_cannot_be_trusted(write, refused, tmp_path, change, message):
    assert message.format(tmp_path / 'source') in refused(write(change))


def test_the_table_comes_before_the_refusal(write, run_tool, tmp_path):
    done = run_tool('import_features', write(not_a_number), '--out', tmp_path / 'refused')
    assert done.out.splitlines()[0].split('  ')[-1].strip() == 'other width'
    assert done.out.splitlines()[2].split() == ['videos', '3', '2', '0', '0', '1', '0', '0']


def test_one_item_of_another_width(refused, tmp_path, flat):
    np.savez(tmp_path / 'v.npz', v0=np.ones(8), v1=np.ones(7))
    write_form('npz', tmp_path / 's', flat.videos, flat.texts)
    text = refused('--videos', tmp_path / 'v.npz', '--texts', tmp_path / 's/texts.npz')
    assert f"{tmp_path}/v.npz, key 'v1' has the width 7, the first one 8." in text


def test_pairs_without_features_may_be_left_out(write, import_tool):
    printed, store = import_tool(write(without_a_video), '--skip-missing')
    assert (store.num_videos, store.num_texts) == (2, 3)
    assert printed.splitlines()[2].split()[:4] == ['videos', '3', '2', '1']


def test_features_of_zeros_are_counted_and_named(write, import_tool):
    def zero(flat):
        flat.videos['features'][2] = 0

    printed, _ = import_tool(write(zero))
    assert printed.splitlines()[2].split() == ['videos', '3', '3', '0', '0', '0', '1', '0']
    assert "videos.npz, row 2 (id 'v1')" in printed


@pytest.mark.parametrize(('kind', 'protocol'), [('pkl', 2), ('pkl', 4), ('pkl', 5), ('pt', 2)])
def test_pickles_with_code_are_refused_and_not_run(refused, tmp_path, kind, protocol):
    path, ran = tmp_path / f'bad.{kind}', tmp_path / 'ran'
    if kind == 'pkl':
        path.write_bytes(pickle.dumps(dict(features=Code(ran)), protocol=protocol))
    else:
        torch.save(dict(features=Code(ran)), path, pickle_protocol=protocol)
    text = refused('--videos', path, '--texts', path)
    assert f'{path} was not read: it asks for' in text
    assert 'system' in text
    assert not ran.exists()


def test_arrays_of_objects_are_refused(refused, tmp_path):
    objects = np.array([dict(a=1)], dtype=object)
    np.savez(tmp_path / 'o.npz', features=objects, ids=['a'])
    (tmp_path / 'o.pkl').write_bytes(pickle.dumps(objects))
    assert 'cannot be read' in refused('--videos', tmp_path / 'o.npz')
    assert "it asks for numpy.dtype('O8')" in refused('--videos', tmp_path / 'o.pkl')


@pytest.mark.parametrize('kind', ['npz', 'pt', 'pkl', 'h5', 'parquet', 'tar', 'npy'])
def test_damaged_files_are_named(refused, tmp_path, kind):
    path = tmp_path / f'bad.{kind}'
    path.write_bytes(b'\x80\x02no such thing')
    (tmp_path / 'bad.ids.txt').write_text('a\n')
    assert str(path) in refused('--videos', path, '--texts', path)


def test_sources_that_do_not_say_what_they_are(refused, tmp_path, flat):
    np.save(tmp_path / 'v.npy', np.ones((2, 8)))
    (tmp_path / 'empty').mkdir()
    assert 'v.npy holds one side; say which by --videos' in refused(tmp_path / 'v.npy')
    assert 'write them into v.ids.txt beside it' in refused('--videos', tmp_path / 'v.npy')
    assert "no file or folder whose name begins with 'videos'" in refused(tmp_path / 'empty')
    assert 'has no .npy file, no .tar' in refused('--videos', tmp_path / 'empty')
    assert 'There is no file or folder' in refused('--videos', tmp_path / 'gone.npz')
    assert 'There is no file or folder' in refused(tmp_path / 'gone')
    assert 'There are no videos; give them by --videos' in refused('--texts', tmp_path / 'v.npy')
    assert "has the extension '.csv'" in _of_kind(refused, tmp_path, 'csv')
    assert 'FIELD=NAME is expected' in refused('--videos', tmp_path, '--names', 'features')


def _of_kind(refused, folder, kind):
    (folder / f'v.{kind}').write_text('a')
    return refused('--videos', folder / f'v.{kind}')


def test_columns_and_numbers_that_a_parquet_file_lacks(refused, tmp_path):
    cases = {
        "has no column 'ids'; its columns are features": dict(features=[[1.0]]),
        "the column 'features' holds string; lists": dict(features=['a'], ids=['a']),
        'some of their numbers are missing (null)': dict(features=[[1.0, None]], ids=['a']),
        'its rows differ in width': dict(features=[[[1.0], [1.0, 2.0]]], ids=['a']),
    }
    for message, columns in cases.items():
        pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / 'v.parquet')
        assert message in refused('--videos', tmp_path / 'v.parquet')


def test_masks_pooled_features_and_groups_of_another_form(refused, tmp_path):
    ids = np.array(['a'])
    cases = {
        'the mask must be [2], true or 1': dict(mask=np.ones((1, 3), bool)),
        'pooled has the shape [3]; [8] is expected': dict(pooled=np.ones((1, 3))),
        'features have the shape [2, 8, 1]': dict(features=np.ones((1, 2, 8, 1))),
    }
    for message, change in cases.items():
        np.savez(tmp_path / 'v.npz', **(dict(features=np.ones((1, 2, 8)), ids=ids) | change))
        assert message in refused('--videos', tmp_path / 'v.npz')
    np.savez(tmp_path / 'v.npz', features=np.ones((2, 8)), ids=np.array([b'a', b'\xff']))
    assert "v.npz, ids, row 1 is not UTF-8: b'\\xff'." in refused('--videos', tmp_path / 'v.npz')
    np.savez(tmp_path / 'v.npz', features=np.ones((2, 8)), ids=np.array([0.5, 1]))
    assert 'v.npz, ids, row 0: 0.5 is no id and no text.' in refused('--videos', tmp_path / 'v.npz')
    with h5py.File(tmp_path / 'v.h5', 'w') as file:
        file['a/b'] = np.ones(8)
    assert 'a mapping in place of an array' in refused('--videos', tmp_path / 'v.h5')
    with tarfile.open(tmp_path / 'v.tar', 'w'):
        pass
    assert 'The sources hold no videos' in refused('--videos', tmp_path / 'v.tar')


def test_words_without_a_feature_of_the_whole_text(data, refused, tmp_path):
    del data.texts['pooled']
    text = refused(write_form('npz', tmp_path / 's', data.videos, data.texts))
    assert 'has 5 words and no feature of the whole text' in text
    assert '--pooled first|last|mean' in text


def test_pairs_say_what_belongs_together_and_in_which_order(write, import_tool, tmp_path):
    pairs = [
        dict(text_id='b', video_id='v1', caption='a red box', group='g'),
        dict(text_id='a', video_id='v0'),
        dict(text_id='c', video_id='v1'),
    ]
    (tmp_path / 'p.json').write_text(json.dumps(pairs))
    _, store = import_tool(write(other_ids), '--pairs', tmp_path / 'p.json')
    assert store.texts_of_video.tolist() == [2, 1]
    assert json.loads((tmp_path / 'imported/videos.json').read_text()) == [
        dict(video_id='v1', captions=['a red box', 'c'], group='g'),
        dict(video_id='v0', captions=['a']),
    ]
    (tmp_path / 'p.csv').write_text('text_id,video_id,caption\nd,v2,"one, two"\n')
    import_tool(tmp_path / 'source', '--pairs', tmp_path / 'p.csv', out='csv')
    assert json.loads((tmp_path / 'csv/videos.json').read_text())[0]['captions'] == ['one, two']


def test_annotations_name_texts_by_their_number(write, import_tool, tmp_path):
    (tmp_path / 'p.jsonl').write_text(json.dumps(dict(video_id='v0', captions=['one', 'two'])))
    printed, _ = import_tool(write(), '--pairs', tmp_path / 'p.jsonl')
    assert printed.splitlines()[3].split() == ['texts', '4', '2', '0', '2', '0', '0', '0']
    entries = json.loads((tmp_path / 'imported/videos.json').read_text())
    assert entries == [dict(video_id='v0', captions=['one', 'two'])]


PAIRS = {
    '{}': 'must hold a list; it holds a dict',
    '[]': 'has no pair',
    '[1]': 'entry 0: an object with "video_id" is expected: 1.',
    '[{"video_id": "a"}]': '"text_id" or "captions" is missing',
    '[{"video_id": "a", "text_id": "b"}, {"video_id": "c", "text_id": "b"}]': "'b' occurs twice",
    '[': 'is not valid JSON',
}


@pytest.mark.parametrize(('content', 'message'), PAIRS.items(), ids=PAIRS)
def test_pairs_that_say_nothing(write, refused, tmp_path, content, message):
    (tmp_path / 'p.json').write_text(content)
    assert message in refused(write(), '--pairs', tmp_path / 'p.json')


def test_a_folder_that_is_there_is_not_replaced(write, run_tool, tmp_path):
    source = write()
    done = run_tool('import_features', source, '--out', source)
    assert (done.status, 'exists already; give --out another' in done.err) == (2, True)


SHAPES = {
    'has the shape [3, 2], and neither side is the number of texts, 4.': [(3, 2)],
    'Say so by --rows videos.': [(3, 4)],
    'has scores of the shape [4, 5]; [4, 3] is expected for the 4 texts and 3 vid': [(4, 5)],
    'has scores of the shape [4, 3]; [3, 4] is expected': [(4, 3), (4, 3)],
    '--scores takes one matrix, or one for each direction.': [(4, 3), (3, 4), (4, 3)],
}


@pytest.mark.parametrize(('message', 'shapes'), SHAPES.items(), ids=lambda value: str(value)[:20])
def test_scores_of_another_shape_or_orientation(write, refused, tmp_path, message, shapes):
    files = [tmp_path / f'{number}.npy' for number in range(len(shapes))]
    for file, shape in zip(files, shapes, strict=True):
        np.save(file, np.zeros(shape, np.float32))
    assert message in refused(write(), '--scores', *files)


def test_square_scores_need_their_orientation_said(flat, write, refused, import_tool, tmp_path):
    def three_texts(flat):
        flat.texts = {name: values[1:] for name, values in flat.texts.items()}

    scores = np.arange(9, dtype=np.float64).reshape(3, 3)
    np.save(tmp_path / 's.npy', scores)
    source = write(three_texts)
    assert 'is square, [3, 3], so its shape' in refused(source, '--scores', tmp_path / 's.npy')
    for rows, expected in (('texts', scores), ('videos', scores.T)):
        _, store = import_tool(source, '--scores', tmp_path / 's.npy', '--rows', rows, out=rows)
        # Columns are v2, v0, v1 in the source, and in the order of the texts in the result.
        np.testing.assert_array_equal(store.arrays['scores'], expected[:, [1, 2, 0]])
