"""Small data sets in their official formats, with the oddities of the real files.

Each has four usable training videos, two for validation and three for testing.
"""

import json
import pickle

import pytest

from diffusionret_mm.datasets.lsmdc import BROKEN_CLIPS

BOM = '\ufeff'
ODD_CAPTIONS = ('a man, two dogs', 'un café à Zürich', 'she says "no" and leaves', '犬が走る')


def windows(*lines):
    """A text with a byte order mark and Windows line ends, as bytes."""
    return (BOM + '\r\n'.join(lines)).encode()


def write_msrvtt(root, clip):
    """Official folders of videos, other extensions, a listed video twice and one without text."""
    ids = [f'video{number}' for number in (4, 2, 7, 0, 5, 9)]
    for number, video_id in enumerate(ids):
        clip(f'TrainValVideo/{video_id}.{("mp4", "webm", "MP4")[number % 3]}')
    for number in (11, 12, 13):
        clip(f'TestVideo/video{number}.mp4')
    listed = ['video_id', *ids[:3], ids[0], 'video404', '', *ids[3:], '']
    (root / 'MSRVTT_train.9k.csv').write_bytes(windows(*listed))
    (root / 'MSRVTT_JSFUSION_test.csv').write_bytes(
        windows(
            'key,vid_key,video_id,sentence',
            'ret0,msr11,video11,"a man, two dogs"',
            'ret1,msr12,video12,un café à Zürich ',
            'ret2,msr13,video13,"she says ""no"" and leaves"',
        )
    )
    sentences = [
        dict(caption=f'{ODD_CAPTIONS[number % 4]} {key}', video_id=key, sen_id=number)
        for number, key in enumerate((*ids, *ids, 'video11', 'video8000'))
    ]
    sentences.append(dict(caption=' ', video_id=ids[0], sen_id=99))
    content = dict(info={}, videos=[], sentences=sentences)
    (root / 'MSRVTT_data.json').write_text(json.dumps(content), encoding='utf-8')


def write_msvd(root, clip):
    """A pickle of Python 2, lists without a last line end, uneven numbers of captions."""
    splits = {
        'train': ['-4wsuPCjDBc_5_15', 'Ab_c_1_9', '_0nX-El-ySo_83_93', 'zz9_0_4', 'no_text_1_2'],
        'val': ['v1_0_3', 'v2_3_9'],
        'test': ['t1_0_3', 't2_3_9', 't3_9_12'],
    }
    captions = {'unlisted_0_1': [['a', 'cat']]}
    for split, ids in splits.items():
        (root / f'{split}_list.txt').write_bytes(windows(*(f'{key} ' for key in ids)))
        for number, key in enumerate(ids):
            clip(f'YouTubeClips/{key}.avi')
            if key != 'no_text_1_2':
                captions[key] = [f'{text} {key}'.split() for text in ODD_CAPTIONS[: number + 1]]
    captions['zz9_0_4'].append([])
    (root / 'raw-captions.pkl').write_bytes(pickle.dumps(captions, protocol=2))


def write_lsmdc(root, clip):
    """A folder a film, open quotes, a clip in two lines and a broken one."""
    names = {
        'training': ['0001_American_Beauty_00.00.51.926-00.00.54.129', *sorted(BROKEN_CLIPS)[:1]]
        + [f'1002_Film_00.0{number}.11.500-00.0{number}.15.200' for number in range(3)],
        'val': [f'1014_Val_00.0{number}.00.000-00.0{number}.02.000' for number in range(2)],
        'test': [f'3001_TEST_00.0{number}.00.000-00.0{number}.02.000' for number in range(3)],
    }
    files = dict(
        training='LSMDC16_annos_training.csv',
        val='LSMDC16_annos_val.csv',
        test='LSMDC16_challenge_1000_publictect.csv',
    )
    for split, ids in names.items():
        times = '00.00.01.000\t00.00.02.000\t00.00.01.000\t00.00.02.000'
        lines = [f'{key}\t{times}\t"SOMEONE, says: café {key}' for key in ids]
        if split == 'training':
            lines.append(f'{ids[0]}\t{times}\tHe nods.')
        (root / files[split]).write_bytes(windows(*lines, ''))
        for key in set(ids) - BROKEN_CLIPS:
            clip(f'{key.split("_00.")[0]}/{key}.avi')


def write_activitynet(root, clip):
    """Both habits of naming videos, an id without sentences and sentences without an id."""
    train = ['v_QOlSCBRmfWY', 'v_-aBc', 'v__0nX', 'v_v_UmAH95', 'v_e5', 'v_e6']
    test = ['v_t1', 'v_t2', 'v_t3']
    for number, key in enumerate(train + test):
        clip(f'{key}.mkv' if number % 2 else f'all/{key[2:]}.mp4')
    for name, listed, ids in (('train', 'train_ids', train), ('val_1', 'val_ids', test)):
        (root / f'{listed}.json').write_text(json.dumps([*ids[:1], 'v_no_text', *ids[1:]]))
        paragraphs = {
            key: dict(
                duration=1.05,
                timestamps=[[0, 0.5], [0.5, 1.05], [0, 1]],
                sentences=[f'A man talks {key}.', ' Un café.\n', ''],
            )
            for key in [*reversed(ids), 'v_unlisted']
        }
        (root / f'{name}.json').write_text(json.dumps(paragraphs, ensure_ascii=False), 'utf-8')


DIDEMO_NAMES = {
    'train': [
        '1@N00_1_aa.avi',
        '2@N00_2_bb.m4v',
        '3@N00_3_cc.',
        '4@N00_4_dd.3gp',
        '9@N00_9_xx.mov',
    ],
    'val': ['5@N00_5_ee.mov', '6@N00_6_ff.mpg'],
    'test': ['7@N00_7_gg.mov', '8@N00_8_hh.avi', '0@N00_0_ii.mts'],
}


def _write_didemo_videos(clip):
    for names in DIDEMO_NAMES.values():
        for number, name in enumerate(names):
            clip(f'{name}.mp4' if number % 2 else name)


def write_didemo(root, clip):
    """Lists with and without extensions, a described video that is not listed."""
    _write_didemo_videos(clip)
    for split, names in DIDEMO_NAMES.items():
        listed = [name.split('.')[0] if number % 2 else name for number, name in enumerate(names)]
        (root / f'{split}_list.txt').write_bytes(windows(*listed[:4]))
        entries = [
            dict(annotation_id=number, video=name, description=text, times=[[0, 0]] * 4)
            for number, text in enumerate(('A café opens. ', 'the dog\nbarks'))
            for name in names
        ]
        (root / f'{split}_data.json').write_text(json.dumps(entries))


def write_didemo_labels(root, clip):
    """One csv file a split, with line ends within the texts and other people's paths."""
    _write_didemo_videos(clip)
    for split, names in DIDEMO_NAMES.items():
        lines = ['success,video_path,starts,ends,text,formatted_data']
        for number, name in enumerate(names[:4]):
            text = f'"a café, {number}\n the dog ""Rex"" barks\n"'
            span = 'tensor([[0]]),tensor([[31]])'
            lines.append(f'True,/home/them/all_videos/{name},{span},{text},/home/them/{number}.pth')
        (root / f'didemo_{split}_label.csv').write_bytes(windows(*lines, ''))


@pytest.fixture
def official(tmp_path, write_clip):
    """A function that writes a data set, clips included, and returns its folder."""

    def write(name):
        root = tmp_path / name

        def clip(path):
            video = write_clip(tmp_path / 'clip.mp4', num_frames=8, size=(40, 32))
            (root / 'videos' / path).parent.mkdir(parents=True, exist_ok=True)
            video.rename(root / 'videos' / path)

        root.mkdir()
        globals()[f'write_{name}'](root, clip)
        return root

    return write
