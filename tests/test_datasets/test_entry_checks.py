"""Preparation says yes to what training accepts, and to nothing else."""

import json
import pickle

import pytest
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets import TextVideoDataset
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.preparation import check_dataset, data_sets
from diffusionret_mm.storage.names import is_visible

NAN = float('nan')


def entry(**changes):
    return dict(video_id='a', video='a.mp4', captions=['a cat']) | changes


BAD = {
    'caption NaN': entry(captions=['a cat', NAN]),
    'caption number': entry(captions=[7]),
    'caption null': entry(captions=[None]),
    'caption list': entry(captions=[['a', 'cat']]),
    'caption empty': entry(captions=['a cat', '']),
    'caption blanks': entry(captions=[' \t\n\u3000\u00a0']),
    'caption zero width': entry(captions=['\u200b\u200d\ufeff']),
    'caption soft hyphen': entry(captions=['\u00ad']),
    'caption direction': entry(captions=['\u202e\u2066']),
    'caption filler': entry(captions=['\u3164\u2800']),
    'caption entity': entry(captions=['&nbsp;&#8203;']),
    'caption half': entry(captions=['a \ud83d cat']),
    'captions text': entry(captions='a cat'),
    'captions empty': entry(captions=[]),
    'captions object': entry(captions={'0': 'a cat'}),
    'id number': entry(video_id=7),
    'id empty': entry(video_id=''),
    'id half': entry(video_id='\udcff'),
    'video number': entry(video=7),
    'video list': entry(video=['a.mp4']),
    'start text': entry(start='0', end=1),
    'end text': entry(start=0, end='1.0'),
    'start NaN': entry(start=NAN),
    'end infinite': entry(end=float('inf')),
    'start true': entry(start=True, end=3),
    'start huge': entry(start=10**400),
    'start negative': entry(start=-1, end=1),
    'start behind end': entry(start=2, end=1),
    'duration 0': entry(start=1, end=1),
    'end 0': entry(start=0, end=0),
    'no object': ['a', 'a.mp4', 'a cat'],
    'text': 'a.mp4',
    'null': None,
}
GOOD = {
    'plain': entry(),
    'emoji': entry(captions=['🐈', 'un café', '犬が走る']),
    'joined': entry(captions=['👩\u200d🚒 at work', '\u200ba cat']),
    'part': entry(start=0, end=0.5),
    'rest': entry(start=0.5, end=None),
    'whole numbers': entry(start=0, end=1),
}


@pytest.fixture
def verdicts(tmp_path, write_clip):
    """A function: what preparation and training say of a list, None if they take it."""
    write_clip(tmp_path / 'a.mp4')

    def judge(entries):
        (tmp_path / 'train.json').write_text(json.dumps(entries))
        found = []
        for take in (
            lambda: check_dataset('json', tmp_path, tmp_path, tmp_path / 'manifest.json'),
            lambda: TextVideoDataset(str(tmp_path), 'train.json'),
        ):
            try:
                take()
                found.append(None)
            except AnnotationError as error:
                found.append(str(error))
        return found

    return judge


@pytest.mark.parametrize('name', BAD)
def test_both_refuse_it_in_the_same_words(verdicts, name):
    prepared, trained = verdicts([entry(video_id='first'), BAD[name]])
    assert prepared is not None
    assert prepared == trained
    assert 'train.json, entry 1' in prepared


@pytest.mark.parametrize('name', GOOD)
def test_both_take_it(verdicts, name):
    assert verdicts([GOOD[name]]) == [None, None]


def test_nothing_is_refused_by_both(verdicts):
    prepared, trained = verdicts([])
    assert 'lists no video' in prepared
    assert prepared == trained


def test_a_part_behind_the_end_of_its_video_is_named(tmp_path, write_clip, run_tool):
    write_clip(tmp_path / 'a.mp4', 12)  # 1.2 seconds
    for start, status in ((1, 0), (1.2, 1), (100, 1)):
        (tmp_path / 'test.json').write_text(json.dumps([entry(start=start)]))
        done = run_tool('data/prepare', 'json', '--annotations', tmp_path, '--videos', tmp_path)
        assert done.status == status, done.out
        said = f'a is to be cut from second {start:g} on, and has 1.2 seconds.'
        assert (said in done.out) == bool(status)


def write(name, root):
    """Files of a public data set with something wrong, and the split that reads them."""
    (root / 'videos').mkdir()
    if name == 'activitynet':
        (root / 'train_ids.json').write_text('["v_a"]')
    elif name == 'msvd':
        (root / 'train_list.txt').write_text('a\n')
    elif name == 'msrvtt':
        (root / 'MSRVTT_train.9k.csv').write_text('video_id\na\n')


def paragraph(**changes):
    return json.dumps({'v_a': dict(duration=9.5, sentences=['A cat sits.']) | changes})


def sentences(caption):
    return json.dumps(dict(sentences=[dict(video_id='a', caption=caption)]))


@pytest.mark.parametrize(
    ('name', 'file', 'content'),
    [
        ('activitynet', 'train.json', paragraph(duration=0)),
        ('activitynet', 'train.json', paragraph(duration=-3)),
        ('activitynet', 'train.json', paragraph(duration='9.5')),
        ('activitynet', 'train.json', paragraph(duration=NAN)),
        ('activitynet', 'train.json', paragraph(sentences=[NAN])),
        ('activitynet', 'train.json', paragraph(sentences=[7])),
        ('activitynet', 'train.json', paragraph(sentences=['\u200b'])),
        ('msrvtt', 'MSRVTT_data.json', sentences(NAN)),
        ('msrvtt', 'MSRVTT_data.json', sentences(7)),
        ('msrvtt', 'MSRVTT_data.json', sentences('\u2800')),
        ('msrvtt', 'MSRVTT_data.json', sentences('half \ud83d')),
        ('msvd', 'raw-captions.pkl', pickle.dumps({'a': [NAN]})),
        ('msvd', 'raw-captions.pkl', pickle.dumps({'a': [[1, 2]]})),
        ('msvd', 'raw-captions.pkl', pickle.dumps({'a': ['\ufeff']})),
    ],
)
def test_public_data_sets(tmp_path, name, file, content):
    write(name, tmp_path)
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AnnotationError) as prepared:
        check_dataset(name, tmp_path)
    cls = data_sets()[name]
    with (
        pytest.raises(AnnotationError) as trained,
        DefaultScope.overwrite_default_scope('mmaction'),
    ):
        cls(data_root=str(tmp_path), **cls.splits[0].options)
    assert str(prepared.value) == str(trained.value)


@pytest.mark.parametrize('text', ['a', '.', '🐈', '&amp;', '\u200ba', 'é', 'ﷺ', '\ue000'])
def test_what_is_visible(text):
    assert is_visible(text)
