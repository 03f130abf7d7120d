import json

import pytest
from mmaction.registry import DATASETS
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets import text_video
from diffusionret_mm.datasets.errors import AnnotationError, VideoReadError

PIPELINE = [
    dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=4)),
    dict(type='CLIPResizeCrop', size=32),
    dict(type='TokenizeCaptions', max_words=8),
    dict(type='PackTextVideoInputs'),
]


@pytest.fixture
def make(tmp_path, write_clip):
    """A function that writes clips a, b, c and builds a data set of them."""
    for name in 'abc':
        write_clip(tmp_path / f'{name}.mp4')

    def build(entries=None, **kwargs):
        if entries is None:
            entries = [
                dict(video_id=name, video=f'{name}.mp4', captions=[f'one {name}', f'two {name}'])
                for name in 'abc'
            ]
        (tmp_path / 'ann.json').write_text(json.dumps(entries))
        cfg = dict(
            type='TextVideoDataset', data_root=str(tmp_path), ann_file='ann.json', pipeline=PIPELINE
        )
        with DefaultScope.overwrite_default_scope('mmaction'):
            return DATASETS.build(cfg | kwargs)

    return build


def test_an_item_is_a_video_with_all_its_captions(make):
    item = make()[1]
    assert item['inputs']['frames'].shape == (4, 3, 32, 32)
    assert item['inputs']['ids'].shape == (2, 8)
    assert item['data_samples'].video_id == 'b'
    assert item['data_samples'].captions == ['one b', 'two b']
    assert item['data_samples'].video_index == 1


def test_training_draws_captions_by_seed_epoch_and_item_alone(make):
    def draws(seed):
        dataset = make(captions_per_video=1)
        drawn = []
        for epoch in range(20):
            dataset.set_epoch(epoch, seed)
            drawn += [dataset[index]['data_samples'].captions[0] for index in (2, 0, 1)]
        return drawn

    assert draws(0) == draws(0)
    assert draws(0) != draws(1)
    assert len(set(draws(0))) == 6


def test_more_captions_than_there_are_repeat(make):
    assert make(captions_per_video=5)[0]['inputs']['ids'].shape == (5, 8)


BAD_ENTRIES = {
    'caption 1 of video': dict(video_id='a', video='a.mp4', captions=['x', '  ']),
    '"captions" is missing or empty': dict(video_id='a', video='a.mp4', captions=[]),
    '"captions" must be a list': dict(video_id='a', video='a.mp4', captions='a dog'),
    '"video" is missing or empty': dict(video_id='a', captions=['x']),
}


@pytest.mark.parametrize('message', BAD_ENTRIES)
def test_a_wrong_entry_is_named(make, message):
    with pytest.raises(AnnotationError, match=f'ann.json, entry 0: {message}'):
        make([BAD_ENTRIES[message]])


def test_an_entry_of_another_type(make):
    with pytest.raises(AnnotationError, match="entry 0 must be an object: 'a'"):
        make(['a'])


def test_an_id_twice(make):
    entry = dict(video_id='a', video='a.mp4', captions=['x'])
    with pytest.raises(AnnotationError, match="entry 1: video_id 'a' occurs twice"):
        make([entry, entry])


def test_a_wrong_file(make, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.json does not exist'):
        make(ann_file='none.json')
    with pytest.raises(AnnotationError, match='lists no video'):
        make([])
    (tmp_path / 'broken.json').write_text('[{')
    with pytest.raises(AnnotationError, match='broken.json is not valid JSON'):
        make(ann_file='broken.json')


def test_a_missing_video(make, tmp_path):
    (tmp_path / 'b.mp4').unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 3 videos .* are missing: .*b\.mp4.*'skip'"):
        make()
    dataset = make(bad_videos='skip')
    assert len(dataset) == 2
    assert dataset.num_skipped == 1


def test_a_corrupt_video_is_named(make, tmp_path):
    (tmp_path / 'b.mp4').write_bytes(b'no video' * 100)
    dataset = make()
    with pytest.raises(VideoReadError, match=r"b\.mp4 \(video_id 'b'.*cannot be read"):
        dataset[1]


def test_a_corrupt_video_is_skipped_counted_and_logged(make, tmp_path, monkeypatch):
    (tmp_path / 'b.mp4').write_bytes(b'no video' * 100)
    logged = []
    monkeypatch.setattr(text_video, 'print_log', lambda text, **kwargs: logged.append(text))
    dataset = make(bad_videos='skip')
    assert dataset[1]['data_samples'].video_id == 'c'
    assert dataset.num_skipped == 1
    assert 'b.mp4' in logged[0]
    assert 'skipped (1 so far)' in logged[0]


def test_nothing_readable_is_an_error_even_when_skipping(make, tmp_path):
    for name in 'abc':
        (tmp_path / f'{name}.mp4').write_bytes(b'no video' * 100)
    with pytest.raises(VideoReadError, match='No video of'):
        make(bad_videos='skip')[0]


def test_a_mistake_of_the_program_is_never_skipped(make):
    dataset = make(bad_videos='skip', pipeline=[dict(type='PackTextVideoInputs')])
    with pytest.raises(KeyError, match='imgs'):
        dataset[0]


def test_rows_are_a_part_of_the_list(make):
    parts = [make(rows=rows) for rows in (None, (0, 2), (-1, None))]
    ids = [[part.get_data_info(i)['video_id'] for i in range(len(part))] for part in parts]
    assert ids == [['a', 'b', 'c'], ['a', 'b'], ['c']]
    assert parts[2].get_data_info(0)['video_index'] == 0
    with pytest.raises(AnnotationError, match='lists no video in its rows'):
        make(rows=(3, None))


def test_an_item_can_be_a_caption(make):
    dataset = make(item='caption', captions_per_video=1)
    items = [dataset[index] for index in range(len(dataset))]
    assert [item['data_samples'].captions[0] for item in items] == [
        f'{number} {name}' for name in 'abc' for number in ('one', 'two')
    ]
    assert [item['data_samples'].video_index for item in items] == [0, 0, 1, 1, 2, 2]
    assert len({dataset.group_of(index) for index in range(6)}) == 6
    seeds = make(item='caption', pipeline=[lambda results: results['item_seed']])
    assert len({seeds[index] for index in range(6)}) == 6
    with pytest.raises(ValueError, match="item='caption' has one caption per item"):
        make(item='caption', captions_per_video=2)
    with pytest.raises(ValueError, match='item must be one of'):
        make(item='text')


def test_a_part_of_a_video(make):
    entry = dict(video_id='a', video='a.mp4', captions=['x'])
    info = make([dict(entry, start=0.5, end=1)]).get_data_info(0)
    assert (info['start'], info['end']) == (0.5, 1)
    assert make([dict(entry, start=0, end=None)]).get_data_info(0)['end'] is None
    for span in (dict(start=-1), dict(start=2, end=2), dict(end='3'), dict(end=float('nan'))):
        with pytest.raises(AnnotationError, match="entry 0: video 'a' is to be cut from"):
            make([dict(entry, **span)])


def test_evaluation_neither_skips_nor_draws(make):
    for option in (dict(bad_videos='skip'), dict(captions_per_video=1), dict(item='caption')):
        with pytest.raises(ValueError, match='for training only'):
            make(test_mode=True, **option)
    with pytest.raises(ValueError, match='bad_videos must be one of'):
        make(bad_videos='ignore')


def test_iterating_ends_after_the_last_item(make):
    assert [item['data_samples'].video_id for item in make()] == ['a', 'b', 'c']
    with pytest.raises(IndexError, match='no item 3 among 3'):
        make()[3]
