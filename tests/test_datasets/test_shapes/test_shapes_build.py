"""The whole data set on disk: complete or absent, the same for the same settings."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import decord
import numpy as np
import pytest

from diffusionret_mm.datasets.shapes import build
from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.datasets.shapes.clips import draw_clips, draw_shifted_clips
from diffusionret_mm.datasets.shapes.drawing import FRAME_SIZES, draw_twins
from diffusionret_mm.datasets.shapes.rendering import render_frames
from diffusionret_mm.datasets.shapes.shifts import SHIFTS

SMALL = {'train': 3, 'val': 1, 'test': 2}


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    root = tmp_path_factory.mktemp('rendered') / 'shapes'
    render_shapes(root, num_scenes=SMALL, workers=2)
    return root


def contents(root):
    return {f.relative_to(root): f.read_bytes() for f in root.rglob('*') if f.is_file()}


def decode(path):
    reader = decord.VideoReader(str(path))
    return np.stack([reader[i].asnumpy() for i in range(len(reader))])


def test_annotations_list_the_videos(rendered):
    seen = set()
    for split, scenes in SMALL.items():
        entries = json.loads((rendered / f'{split}.json').read_text())
        assert len(entries) == 3 * scenes
        assert [set(e) for e in entries] == [{'video_id', 'video', 'captions', 'group'}] * len(
            entries
        )
        assert all((rendered / e['video']).is_file() for e in entries)
        assert entries[1]['video_id'] == f'{split}_0000_reversed'
        assert {e['group'] for e in entries[:3]} == {f'{split}_0000'}
        assert all(len(set(e['captions'])) == 4 for e in entries)
        seen |= {e['video'] for e in entries}
    assert {f'videos/{f.name}' for f in (rendered / 'videos').iterdir()} == seen
    meta = json.loads((rendered / 'meta.json').read_text())
    assert meta['settings']['num_scenes'] == SMALL
    assert meta['settings']['shift'] is None
    assert meta['counts']['test'] == {'videos': 6, 'captions': 24}


def test_videos_show_their_scenes(rendered):
    clips = draw_clips(0, SMALL, 4)
    for clip in clips['train']:
        difference = decode(rendered / clip.file).astype(int) - render_frames(clip.scene)
        assert np.abs(difference).mean() < 6


def test_same_settings_same_files_with_any_number_of_workers(rendered, tmp_path):
    render_shapes(tmp_path / 'again', num_scenes=SMALL, workers=1)
    assert contents(tmp_path / 'again') == contents(rendered)


def test_other_seed_other_files(rendered, tmp_path):
    render_shapes(tmp_path / 'other', seed=1, num_scenes=SMALL)
    assert (tmp_path / 'other/test.json').read_text() != (rendered / 'test.json').read_text()


def test_no_scene_twice_in_the_default_data_set():
    clips = draw_clips(0, build.DEFAULT_NUM_SCENES, 1)
    keys = [clip.scene.key for split in clips.values() for clip in split]
    assert len(keys) == len(set(keys)) == 3030


def test_complete_data_set_is_left_alone(rendered, monkeypatch, capsys):
    monkeypatch.setattr(build, '_render_all', lambda *_: pytest.fail('rendered again'))
    render_shapes(rendered, num_scenes=SMALL)
    assert capsys.readouterr().out == ''


@pytest.mark.parametrize(
    ('asked', 'message'),
    [
        ({'seed': 5}, 'with seed=0, but seed=5 was asked for'),
        ({'num_scenes': {**SMALL, 'test': 7}}, "num_scenes=.*'test': 2.*num_scenes=.*'test': 7"),
        ({'captions_per_video': 2}, 'captions_per_video=4, but captions_per_video=2'),
    ],
)
def test_other_settings_are_refused(rendered, asked, message):
    before = contents(rendered)
    with pytest.raises(ValueError, match=message):
        render_shapes(rendered, **{'num_scenes': SMALL, **asked})
    assert contents(rendered) == before


def test_foreign_folder_is_not_touched(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(FileExistsError, match='not a .shapes. data set'):
        render_shapes(tmp_path, num_scenes=SMALL)
    assert [f.name for f in tmp_path.iterdir()] == ['thesis.txt']


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / 'shapes').mkdir()
    render_shapes(tmp_path / 'shapes', num_scenes=dict.fromkeys(SMALL, 1))
    assert (tmp_path / 'shapes/meta.json').is_file()


def test_interrupted_rendering_leaves_nothing(tmp_path, monkeypatch):
    def fail(path, *_):
        if 'val_0000_changed' in path.name:
            raise KeyboardInterrupt
        path.touch()

    monkeypatch.setattr(build, 'write_video', fail)
    with pytest.raises(KeyboardInterrupt):
        render_shapes(tmp_path / 'shapes', num_scenes=SMALL)
    assert [f.name for f in tmp_path.iterdir()] == ['.shapes.lock']


def test_leftover_of_a_killed_process_is_removed(tmp_path, rendered):
    shutil.copytree(rendered, tmp_path / '.shapes.12345.tmp')
    render_shapes(tmp_path / 'shapes', num_scenes=dict.fromkeys(SMALL, 1))
    assert {f.name for f in tmp_path.iterdir()} == {'.shapes.lock', 'shapes'}


def test_second_of_two_at_once_waits(tmp_path, rendered, capsys):
    # Every opened lock file counts: threads wait for each other like processes.
    with ThreadPoolExecutor(2) as pool:
        roots = [tmp_path / 'shapes'] * 2
        list(pool.map(lambda root: render_shapes(root, num_scenes=SMALL), roots))
    assert contents(tmp_path / 'shapes') == contents(rendered)
    assert capsys.readouterr().out.count('Rendering') == 1


def test_unwritable_place_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'file/data, must be writable\. Choose a data_root'):
        render_shapes(tmp_path / 'file/data/shapes', num_scenes=SMALL)


@pytest.mark.parametrize('num_scenes', [{'train': 3}, {**SMALL, 'val': 0}])
def test_bad_sizes_are_refused(tmp_path, num_scenes):
    with pytest.raises(ValueError, match="each of 'train', 'val', 'test'"):
        render_shapes(tmp_path / 'shapes', num_scenes=num_scenes)


def test_vague_captions_have_files_of_their_own(rendered):
    entries = json.loads((rendered / 'test_vague.json').read_text())
    assert [len(entry['captions']) for entry in entries] == [2] * 6
    for entry in entries:
        assert all(entry['video_id'] in fitting for fitting in entry['answers'])


@pytest.fixture(scope='module')
def data_set():
    return draw_clips(0, build.DEFAULT_NUM_SCENES, 4)


@pytest.mark.parametrize('shift', SHIFTS)
def test_a_shifted_test_set_shares_no_scene_with_the_data_set(data_set, shift):
    clips = draw_shifted_clips(shift, 0, 20, 4, apart_from=data_set)
    keys = {clip.scene.key for split in data_set.values() for clip in split}
    assert len({clip.scene.key for clip in clips} - keys) == len(clips) == 60
    for twins in zip(*[iter(clips)] * 3, strict=True):
        assert len({clip.scene.staging for clip in twins}) == 1


def test_a_shifted_test_set_is_rendered_like_the_data_set(data_set, tmp_path):
    for name, workers in (('one', 1), ('two', 2)):
        render_shapes(tmp_path / name, shift='noise', num_scenes=dict(test=1), workers=workers)
    assert contents(tmp_path / 'one') == contents(tmp_path / 'two')
    files = {f.name for f in (tmp_path / 'one').iterdir()}
    assert files == {'videos', 'test.json', 'test_vague.json', 'meta.json'}
    clip = draw_shifted_clips('noise', 0, 1, 4, data_set)[0]
    clean = render_frames(clip.scene)
    filmed = SHIFTS['noise'].film(clean, np.random.default_rng((0, 0)))
    assert np.abs(filmed.astype(int) - clean).mean() > 5
    assert np.abs(decode(tmp_path / 'one' / clip.file).astype(int) - filmed).mean() < 5
    with pytest.raises(ValueError, match='with shift=noise, but shift=look was asked for'):
        render_shapes(tmp_path / 'one', shift='look', num_scenes=dict(test=1))


def test_stagings_of_shifts_lie_outside_of_those_in_training():
    rng = np.random.default_rng(0)
    twins = draw_twins(rng, set())
    seen = twins['original'].staging
    paced = [SHIFTS['pace'].restage(twins, rng)['original'].staging for _ in range(20)]
    looks = [SHIFTS['look'].restage(twins, rng)['original'].staging for _ in range(20)]
    assert {staging.frame_rate for staging in paced} == {4, 6, 20, 25}
    assert {staging.frame_size for staging in looks}.isdisjoint(FRAME_SIZES)
    assert max(staging.size for staging in looks) < 0.39 <= seen.size
    assert {staging.frame_size for staging in paced} == {seen.frame_size}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(shift='fog'), r"shift must be one of \('fresh', .*\); got 'fog'"),
        (dict(shift='look', num_scenes=SMALL), "for each of 'test'; got"),
    ],
)
def test_bad_shifts_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        render_shapes(tmp_path / 'shapes', **options)
