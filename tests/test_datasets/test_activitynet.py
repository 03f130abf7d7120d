import json

import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.errors import AnnotationError


def build(root, ids='train_ids', captions='train'):
    return DATASETS.build(
        dict(
            type='ActivityNetCaptionsDataset',
            data_root=str(root),
            ann_file=f'{ids}.json',
            captions=f'{captions}.json',
        )
    )


def test_the_official_files_with_their_oddities(official):
    root = official('activitynet')
    dataset = build(root)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    ids = ['v_QOlSCBRmfWY', 'v_-aBc', 'v__0nX', 'v_v_UmAH95', 'v_e5', 'v_e6']
    assert [info['video_id'] for info in infos] == ids
    assert infos[0]['captions'] == ['A man talks v_QOlSCBRmfWY. Un café.']
    assert (infos[0]['start'], infos[0]['end']) == (0, 2)
    files = [info['filename'] for info in infos]
    assert files[:2] == [
        str(root / 'videos/all/QOlSCBRmfWY.mp4'),
        str(root / 'videos/v_-aBc.mkv'),
    ]
    assert dataset.notes == {
        'videos that have a caption but are not in the list are left out': ['v_unlisted'],
        'videos without a caption are left out': ['v_no_text'],
    }
    assert len(build(root, 'val_ids', 'val_1')) == 3


GOOD = dict(duration=3.0, sentences=['a'])


@pytest.mark.parametrize(
    ('ids', 'paragraphs', 'message'),
    [
        ({'v_a': 1}, {}, 'ids.json must hold a JSON list'),
        (['v_a', 3], {}, 'ids.json, entry 1: 3 is not an id'),
        (['v_a'], [], 'captions.json must be an object'),
        (['v_a'], {'v_a': dict(GOOD, duration=None)}, "captions.json, key 'v_a'.*duration"),
        (['v_a'], {'v_a': dict(GOOD, sentences='a b')}, "captions.json, key 'v_a'.*sentences"),
        (['v_a'], {'v_a': dict(GOOD, sentences=[1])}, "captions.json, key 'v_a'.*sentences"),
        (['v_a'], {'v_a': dict(GOOD, duration=0)}, "'v_a' is to be cut from start 0.0 to end 0.0"),
    ],
)
def test_wrong_files(tmp_path, ids, paragraphs, message):
    (tmp_path / 'ids.json').write_text(json.dumps(ids))
    (tmp_path / 'captions.json').write_text(json.dumps(paragraphs))
    with pytest.raises(AnnotationError, match=message):
        build(tmp_path, 'ids', 'captions')
