import pickle

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.msvd import read_plain_pickle


def build(root, split, **kwargs):
    cfg = dict(type='MSVDDataset', data_root=str(root), ann_file=f'{split}_list.txt')
    return DATASETS.build(cfg | kwargs)


def test_the_official_files_with_their_oddities(official):
    root = official('msvd')
    dataset = build(root, 'train')
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [len(info['captions']) for info in infos] == [1, 2, 3, 4]
    assert infos[1]['video_id'] == 'Ab_c_1_9'
    assert infos[1]['captions'] == ['a man, two dogs Ab_c_1_9', 'un café à Zürich Ab_c_1_9']
    assert infos[1]['filename'] == str(root / 'videos/YouTubeClips/Ab_c_1_9.avi')
    assert dataset.notes == {
        'empty captions are left out': ['zz9_0_4'],
        'videos without a caption are left out': ['no_text_1_2'],
    }
    assert [len(build(root, split)) for split in ('val', 'test')] == [2, 3]


def test_ids_with_extensions_and_captions_of_python_2(official):
    root = official('msvd')
    # {'a.avi': [['caf\xc3\xa9', 'x'], 'caf\xe9']} by protocol 0 of Python 2
    (root / 'raw-captions.pkl').write_bytes(
        b"(dp0\nS'v1_0_3.avi'\n(lp1\n(lp2\nS'caf\\xc3\\xa9'\naS'x'\naaS'caf\\xe9'\nas."
    )
    (root / 'val_list.txt').write_text('v1_0_3.avi')
    assert build(root, 'val').get_data_info(0)['captions'] == ['café x', 'café']


class Program:
    def __reduce__(self):
        return print, ('executed',)


def test_a_pickle_runs_no_program(official, capsys):
    root = official('msvd')
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickle.dumps({'v1_0_3': [Program()]}, protocol)
        (root / 'raw-captions.pkl').write_bytes(content)
        message = r'raw-captions\.pkl is not read: it refers to (builtins|__builtin__)\.print'
        with pytest.raises(AnnotationError, match=message):
            build(root, 'val')
    assert 'executed' not in capsys.readouterr().out


@pytest.mark.parametrize('content', [b'', b'no pickle', pickle.dumps({'a': ['b']})[:-4]])
def test_a_broken_pickle(tmp_path, content):
    path = tmp_path / 'broken.pkl'
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r'broken\.pkl is not a pickle'):
        read_plain_pickle(path)
    with pytest.raises(FileNotFoundError, match='none.pkl does not exist'):
        read_plain_pickle(tmp_path / 'none.pkl')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (['a'], 'must hold a dict from ids to captions; it holds a list'),
        ({'a': 3}, "key 'a': the captions must be a list"),
        ({'a': [[3]]}, "key 'a': the captions must be a list"),
        ({3: ['a']}, 'key 3'),
    ],
)
def test_a_pickle_of_something_else(official, content, message):
    root = official('msvd')
    (root / 'raw-captions.pkl').write_bytes(pickle.dumps(content))
    with pytest.raises(AnnotationError, match=message):
        build(root, 'val')
