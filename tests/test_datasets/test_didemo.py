import json

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.didemo import video_id_of
from diffusionret_mm.datasets.errors import AnnotationError

NOT_LISTED = 'videos that have a caption but are not in the list are left out'


def build(root, split='train'):
    return DATASETS.build(dict(type='DiDeMoDataset', data_root=str(root), split=split))


def infos_of(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def test_lists_and_descriptions(official):
    root = official('didemo')
    dataset = build(root)
    infos = infos_of(dataset)
    assert [info['video_id'] for info in infos] == [
        '1@N00_1_aa',
        '2@N00_2_bb',
        '3@N00_3_cc',
        '4@N00_4_dd',
    ]
    assert infos[0]['captions'] == ['A café opens. the dog barks']
    assert (infos[0]['start'], infos[0]['end']) == (0, 31)
    names = ('1@N00_1_aa.avi', '2@N00_2_bb.m4v.mp4', '3@N00_3_cc.', '4@N00_4_dd.3gp.mp4')
    assert [info['filename'] for info in infos] == [str(root / 'videos' / name) for name in names]
    assert dataset.notes == {NOT_LISTED: ['9@N00_9_xx']}
    assert [len(build(root, split)) for split in ('val', 'test')] == [2, 3]


def test_descriptions_without_a_list_are_all_used(official):
    root = official('didemo')
    (root / 'train_list.txt').unlink()
    assert len(build(root)) == 5


def test_a_listed_video_without_description(official):
    root = official('didemo')
    (root / 'val_list.txt').write_text('unknown.mov\n5@N00_5_ee.mov')
    dataset = build(root, 'val')
    assert len(dataset) == 1
    assert dataset.notes['videos without a caption are left out'] == ['unknown']


def test_labels(official):
    dataset = build(official('didemo_labels'))
    infos = infos_of(dataset)
    assert [info['video_id'] for info in infos][:2] == ['1@N00_1_aa', '2@N00_2_bb']
    assert infos[1]['captions'] == ['a café, 1 the dog "Rex" barks']
    assert infos[1]['end'] == 31
    assert dataset.notes == {}


@pytest.mark.parametrize(
    'name',
    ['1@N00_2_a', '1@N00_2_a.avi', '1@N00_2_a.avi.mp4', '/x/1@N00_2_a.', 'D:\\x\\1@N00_2_a.qt'],
)
def test_ids(name):
    assert video_id_of(f' {name}') == '1@N00_2_a'


def test_wrong_files(tmp_path):
    with pytest.raises(ValueError, match='split must be one of'):
        build(tmp_path, 'dev')
    with pytest.raises(FileNotFoundError, match='train_data.json does not exist'):
        build(tmp_path)
    path = tmp_path / 'train_data.json'
    for entry in ('x', dict(video='a.mp4'), dict(video=3, description='a')):
        path.write_text(json.dumps([dict(video='a.mp4', description='a'), entry]))
        with pytest.raises(AnnotationError, match=r'train_data\.json, entry 1: it must be'):
            build(tmp_path)
