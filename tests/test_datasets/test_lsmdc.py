import pytest
from mmaction.registry import DATASETS

from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.lsmdc import BROKEN_CLIPS

TIMES = '1\t2\t1\t2'


def build(root, ann_file):
    return DATASETS.build(dict(type='LSMDCDataset', data_root=str(root), ann_file=ann_file))


def test_the_official_files_with_their_oddities(official):
    root = official('lsmdc')
    dataset = build(root, 'LSMDC16_annos_training.csv')
    assert len(dataset) == 4
    info = dataset.get_data_info(0)
    clip = '0001_American_Beauty_00.00.51.926-00.00.54.129'
    assert info['video_id'] == clip
    assert info['captions'] == [f'"SOMEONE, says: café {clip}', 'He nods.']
    assert info['filename'] == str(root / f'videos/0001_American_Beauty/{clip}.avi')
    assert dataset.notes == {'clips known as broken are left out': sorted(BROKEN_CLIPS)[:1]}
    assert len(build(root, 'LSMDC16_annos_val.csv')) == 2
    assert len(build(root, 'LSMDC16_challenge_1000_publictect.csv')) == 3


@pytest.mark.parametrize(
    'header',
    [
        'video_id\tstart_aligned\tend_aligned\tstart_extracted\tend_extracted\tsentence',
        '\n\ufeffClip\tFrom\tTo\tStart1\tEnd1\tText',
        '0\t1\t2\t3\t4\t5',
    ],
)
def test_a_header_is_named(tmp_path, header):
    (tmp_path / 'header.csv').write_text(f'{header}\nb\t{TIMES}\tShe nods.\n')
    with pytest.raises(AnnotationError, match=r'header\.csv, line [12]: .* remove the line'):
        build(tmp_path, 'header.csv')


def test_times_may_be_missing(tmp_path):
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos/b.avi').touch()
    (tmp_path / 'blind.csv').write_text('b\t\t\t\t\tShe nods.\n')
    assert len(build(tmp_path, 'blind.csv')) == 1


@pytest.mark.parametrize(
    ('row', 'message'),
    [
        (f'a\t{TIMES}', 'line 2: 5 fields .* the 6 fields clip id'),
        (f'a\t{TIMES}\tHe\tnods.', 'line 2: 7 fields'),
        (f'\t{TIMES}\tHe nods.', 'line 2: 6 fields'),
    ],
)
def test_a_wrong_row_is_named(tmp_path, row, message):
    (tmp_path / 'wrong.csv').write_text(f'b\t{TIMES}\tShe nods.\n{row}\n')
    with pytest.raises(AnnotationError, match=rf'wrong\.csv, {message}'):
        build(tmp_path, 'wrong.csv')
