import json

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.errors import AnnotationError


@pytest.fixture
def root(tmp_path):
    (tmp_path / 'videos').mkdir()
    for number in range(4):
        (tmp_path / f'videos/video{number}.mp4').write_bytes(b'x')
    (tmp_path / 'train.csv').write_text('video_id\r\nvideo2\r\nvideo0\r\nvideo1\r\n')
    (tmp_path / 'test.csv').write_text(
        'key,vid_key,video_id,sentence\nret0,msr3,video3,"a man, two dogs"\n'
    )
    sentences = [
        dict(video_id=f'video{number % 3}', caption=f'caption {number}', sen_id=number)
        for number in range(6)
    ]
    (tmp_path / 'MSRVTT_data.json').write_text(json.dumps(dict(videos=[], sentences=sentences)))
    return tmp_path


def build(root, ann_file, **kwargs):
    return DATASETS.build(
        dict(type='MSRVTTDataset', data_root=str(root), ann_file=ann_file, **kwargs)
    )


def test_training_captions_come_from_the_json_file(root):
    dataset = build(root, 'train.csv')
    assert [dataset.get_data_info(i)['video_id'] for i in range(3)] == [
        'video2',
        'video0',
        'video1',
    ]
    assert dataset.get_data_info(1)['captions'] == ['caption 0', 'caption 3']


def test_the_test_split_brings_its_captions(root):
    dataset = build(root, 'test.csv')
    assert len(dataset) == 1
    assert dataset.get_data_info(0)['captions'] == ['a man, two dogs']


def test_rows_cut_a_validation_part(root):
    parts = [build(root, 'train.csv', rows=rows) for rows in ((0, 2), (2, 3))]
    assert [len(part) for part in parts] == [2, 1]
    assert parts[1].get_data_info(0)['video_id'] == 'video1'


def test_the_official_files_with_their_oddities(official):
    root = official('msrvtt')
    dataset = build(root, 'MSRVTT_train.9k.csv')
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [info['video_id'] for info in infos] == [f'video{n}' for n in (4, 2, 7, 0, 5, 9)]
    assert infos[1]['captions'] == ['un café à Zürich video2', '犬が走る video2']
    assert infos[1]['filename'] == str(root / 'videos/TrainValVideo/video2.webm')
    assert dataset.notes == {
        'repetitions of an id are left out': ['video4'],
        'empty captions are left out': ['video4'],
        'videos without a caption are left out': ['video404'],
    }
    test = build(root, 'MSRVTT_JSFUSION_test.csv')
    assert test.get_data_info(2)['captions'] == ['she says "no" and leaves']


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([], 'must be an object with a list "sentences"'),
        (dict(sentences={}), 'must be an object with a list "sentences"'),
        (dict(sentences=[dict(video_id='video0')]), 'entry 0 of "sentences": .*video0'),
        (dict(sentences=['x']), 'entry 0 of "sentences"'),
        (dict(sentences=[dict(video_id='video0', caption=3)]), "'video0' has the caption 3"),
    ],
)
def test_wrong_captions_are_named(root, content, message):
    (root / 'MSRVTT_data.json').write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=message):
        build(root, 'train.csv')


def test_missing_and_wrong_files(root):
    with pytest.raises(FileNotFoundError, match='none.csv does not exist'):
        build(root, 'none.csv')
    (root / 'wrong.csv').write_text('id\n1\n')
    with pytest.raises(AnnotationError, match='column "video_id"'):
        build(root, 'wrong.csv')
    (root / 'MSRVTT_data.json').unlink()
    with pytest.raises(FileNotFoundError, match='has no captions'):
        build(root, 'train.csv')
