"""`tools/data/prepare.py` on small data sets in their official formats."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from processes import start_script

from diffusionret_mm.apis.backbone import follow_backbone, use_backbone
from diffusionret_mm.datasets import MSRVTTDataset
from diffusionret_mm.datasets.errors import AnnotationError
from diffusionret_mm.datasets.manifest import Manifest
from diffusionret_mm.datasets.preparation import (
    check_dataset,
    compress_videos,
    data_sets,
    frame_transforms,
    store_frames,
)
from diffusionret_mm.datasets.preparation import probing as probing_module
from diffusionret_mm.datasets.preparation.findings import format_findings
from diffusionret_mm.datasets.preparation.probing import journal_of
from diffusionret_mm.datasets.video_reading import video

ROOT = Path(__file__).parents[2]

TOOL = Path(__file__).parents[2] / 'tools/data/prepare.py'
NAMES = ('msrvtt', 'msvd', 'lsmdc', 'activitynet', 'didemo')


def command(name, root, *options):
    folders = ['--annotations', str(root), '--videos', str(root / 'videos')]
    return [name, *folders, *options]


@pytest.fixture
def prepare(run_tool):
    """A function that runs the tool in this process; it gives its exit status and what it says."""

    def run(*arguments):
        done = run_tool('data/prepare', *command(*arguments))
        return done.status, done.out + done.err

    return run


def check(name, root):
    return check_dataset(name, root, root / 'videos', root / 'manifest.json', workers=2)


def row(report, split):
    """The cells of a split in the table."""
    line = next(line for line in report.splitlines() if line.startswith(f'{split}  '))
    return line[len(split) :].split()


@pytest.mark.parametrize('name', NAMES)
def test_official_files_give_a_manifest_that_readers_take(name, official):
    root = official(name)
    preparation = check(name, root)
    report = format_findings(preparation)
    assert preparation.bad_test_videos == []
    records = preparation.manifest.videos.values()
    assert preparation.num_probed == sum(record.status == 'ok' for record in records) >= 9
    for content in preparation.contents:
        if content.entries and content.split.is_test:
            cells = row(report, content.split.name)
            assert cells[-4:] == [cells[2], '0', '0', '0']
    loaded = Manifest.load(root / 'manifest.json')
    assert loaded == preparation.manifest
    for content in preparation.contents:
        loaded.check_annotations(content.files)
    assert not journal_of(root / 'manifest.json').exists()


def test_a_reader_takes_the_manifest_and_sees_a_changed_file(official):
    root = official('msrvtt')
    check('msrvtt', root)
    options = dict(data_root=str(root), ann_file='MSRVTT_JSFUSION_test.csv')
    dataset = MSRVTTDataset(**options, manifest='manifest.json', test_mode=True)
    assert [Path(info['filename']).name for info in map(dataset.get_data_info, range(3))] == [
        f'video{number}.mp4' for number in (11, 12, 13)
    ]
    with (root / 'MSRVTT_JSFUSION_test.csv').open('a') as file:
        file.write('\r\nret3,msr14,video14,a fourth\n')
    with pytest.raises(AnnotationError, match=r'MSRVTT_JSFUSION_test\.csv has changed'):
        MSRVTTDataset(**options, manifest='manifest.json', test_mode=True)


def test_unchanged_videos_are_known(official):
    root = official('msvd')
    first = check('msvd', root)
    assert first.num_probed == 10
    again = check('msvd', root)
    assert again.num_probed == 0
    assert again.manifest == first.manifest
    changed = next((root / 'videos').rglob('t1_0_3.avi'))
    changed.write_bytes(b'no video' * 100)
    third = check('msvd', root)
    assert third.num_probed == 1
    assert third.bad_test_videos == ['t1_0_3']
    assert third.manifest.videos['t1_0_3'].reason.startswith('InvalidDataError: ')
    assert row(format_findings(third), 'test')[-4:] == ['3', '0', '1', '0']


def test_a_video_that_never_ends_is_named(official, monkeypatch):
    root = official('msvd')
    opened = video.open_container

    def open_or_hang(path, **options):
        if path.endswith('t1_0_3.avi'):
            time.sleep(600)
        return opened(path, **options)

    monkeypatch.setattr(video, 'open_container', open_or_hang)
    preparation = check_dataset(
        'msvd', root, root / 'videos', root / 'manifest.json', workers=2, seconds=0.5
    )
    assert preparation.bad_test_videos == ['t1_0_3']
    assert 'took longer than 0.5' in preparation.manifest.videos['t1_0_3'].reason
    transforms = frame_transforms(2, 32)
    text = store_frames(preparation, root / 'store', transforms, seconds=0.5)
    assert ' frames of 8 videos' in text
    monkeypatch.setattr(video, 'open_container', lambda path, **options: time.sleep(600))
    text = compress_videos(preparation.manifest, root, seconds=0.5)
    assert text.count('took longer than 0.5') == 9


def test_a_killed_run_continues(official, monkeypatch):
    root = official('msvd')
    run = probing_module.run_in_parallel

    def stop_after_four(*args):
        for number, outcome in enumerate(run(*args)):
            if number == 4:
                raise KeyboardInterrupt
            yield outcome

    with monkeypatch.context() as patch:
        patch.setattr(probing_module, 'run_in_parallel', stop_after_four)
        with pytest.raises(KeyboardInterrupt):
            check('msvd', root)
    assert not (root / 'manifest.json').exists()
    with journal_of(root / 'manifest.json').open('a') as journal:
        journal.write('{"status": "ok", "path')  # killed while writing
    assert check('msvd', root).num_probed == 6


def test_the_tool_killed_in_the_middle_continues(tmp_path, write_clip):
    for number in range(120):
        write_clip(tmp_path / f'videos/{number}.mp4', num_frames=12, size=(640, 480))
    entries = [dict(video_id=f'v{n}', video=f'{n}.mp4', captions=['x']) for n in range(120)]
    (tmp_path / 'test.json').write_text(json.dumps(entries))
    journal = journal_of(tmp_path / 'manifest.json')
    process = start_script(TOOL, *command('json', tmp_path, '--workers', '1'))
    deadline = time.monotonic() + 100
    while not (journal.is_file() and journal.read_bytes().count(b'\n') >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.kill()
    process.join()
    done = journal.read_bytes().count(b'\n')
    preparation = check('json', tmp_path)
    assert 5 <= done < 120
    assert preparation.num_probed == 120 - done
    assert len(preparation.manifest.videos) == 120


def test_exit_status(official, prepare):
    root = official('didemo')
    assert prepare('didemo', root)[0] == 0
    entries = check('didemo', root).contents[2].entries
    files = Manifest.load(root / 'manifest.json')
    files.video_path(entries[0]['video_id']).unlink()
    files.video_path(entries[1]['video_id']).write_bytes(b'no video' * 100)
    status, said = prepare('didemo', root)
    assert status == 1
    assert '2 test videos are missing, unreadable or too short' in said
    assert prepare('didemo', root, '--allow-missing')[0] == 0


def test_a_bad_input_is_one_clear_line(official, prepare):
    root = official('msrvtt')
    (root / 'MSRVTT_data.json').write_text('{"sentences": [')
    status, said = prepare('msrvtt', root)
    assert status == 2
    last = said.strip().splitlines()[-1]
    assert 'MSRVTT_data.json is not valid JSON' in last
    status, said = prepare('msvd', root)
    assert status == 2
    assert 'None of the annotation files is in' in said
    assert 'train_list.txt' in said


def test_frames_and_compressed_videos(official, prepare):
    root = official('activitynet')
    _, said = prepare('activitynet', root, '--compress', '--frames', '4', '--size', '32')
    assert f'{root}/frames_4_32' in said
    index = json.loads((root / 'frames_4_32/index.json').read_text())
    files = [path for path in (root / 'videos_224_3fps').rglob('*') if path.is_file()]
    assert len(index['videos']) == len(files) == 9


def test_frames_as_another_encoder_reads_them(official, prepare):
    root = official('msvd')
    _, said = prepare('msvd', root, '--frames', '2', '--backbone', 'PE-Core-S-16-384')
    assert f'{root}/frames_2_PE-Core-S-16-384' in said
    index = json.loads((root / 'frames_2_PE-Core-S-16-384/index.json').read_text())
    resize = dict(size=384, mode='squash', interpolation='bilinear')
    cfg = Config.fromfile(ROOT / 'configs/diffusionret_msvd.py')
    use_backbone(cfg, 'PE-Core-S-16-384')
    follow_backbone(cfg)
    step = cfg.test_dataloader.dataset.pipeline[1]
    assert {key: step[key] for key in resize} == resize
    assert {key: index['transforms'][-1][key] for key in resize} == resize


def test_captions_that_are_not_there(official):
    root = official('msrvtt')
    (root / 'MSRVTT_data.json').unlink()
    preparation = check_dataset('msrvtt', root)
    report = format_findings(preparation)
    assert row(report, 'train 9k') == ['7', '?', '7', '9,000', '?', '?']
    assert row(report, 'train 7k')[:2] == ['no', 'file']
    assert 'train 9k: MSRVTT_data.json is not there, so its captions are unknown.' in report
    assert 'only the annotation files were checked' in report
    assert not (root / 'manifest.json').exists()


def test_duplicates_across_splits(tmp_path, write_clip):
    for name in 'ab':
        write_clip(tmp_path / f'{name}.mp4')
    train = [dict(video_id=name, video=f'{name}.mp4', captions=[name, 'same']) for name in 'ab']
    test = [dict(video_id='b', video='b.mp4', captions=['same', 'same'])]
    (tmp_path / 'train.json').write_text(json.dumps(train))
    (tmp_path / 'test.json').write_text(json.dumps(test))
    report = format_findings(check_dataset('json', tmp_path))
    assert '1 videos are in train and in test: b' in report
    assert "1 captions are in train and in test, word for word: 'same'" in report
    assert row(report, 'test') == ['1', '0', '1', '-', '2', '1']


def test_two_processes_do_not_write_one_manifest(official):
    root = official('msvd')
    code = (
        'import sys; from filelock import FileLock\n'
        'with FileLock(sys.argv[1]): sys.stderr.write("x"); input()'
    )
    holder = subprocess.Popen(
        [sys.executable, '-c', code, str(root / '.manifest.json.lock')],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    holder.stderr.read(1)
    with pytest.raises(RuntimeError, match='Another process is preparing'):
        check('msvd', root)
    holder.communicate(b'\n')
    check('msvd', root)


def test_a_wrong_list_of_one_s_own(tmp_path):
    for entries, message in (
        ([dict(video_id='a', captions=['x'])], 'entry 0: "video" is missing'),
        ([dict(video_id='a', video='a', captions=['x'])] * 2, "video_id 'a' occurs twice"),
    ):
        (tmp_path / 'train.json').write_text(json.dumps(entries))
        with pytest.raises(AnnotationError, match=message):
            check_dataset('json', tmp_path)


def test_expected_numbers_are_met_by_the_lists_they_come_from():
    splits = {name: [split.videos for split in data_sets()[name].splits] for name in NAMES}
    assert splits == {
        'msrvtt': [9000, 7010, 1000, 6513, 497, 2990],
        'msvd': [1200, 100, 670],
        'lsmdc': [101_079, 7408, 1000],
        'activitynet': [10_009, 4917],
        'didemo': [8392, 1065, 1004],
    }


@pytest.mark.parametrize('name', ['lsmdc', 'didemo'])
def test_compressed_videos_are_read_like_others(name, official, prepare):
    root = official(name)
    assert prepare(name, root, '--compress')[0] == 0
    folder = root / 'videos_224_3fps'
    preparation = check_dataset(name, root, folder, folder / 'manifest.json')
    assert preparation.bad_test_videos == []
    content = preparation.contents[-1]
    with DefaultScope.overwrite_default_scope('mmaction'):
        dataset = type(content.reader)(
            data_root=str(root),
            manifest='videos_224_3fps/manifest.json',
            pipeline=frame_transforms(4, 32),
            test_mode=True,
            **content.split.options,
        )
    results = dataset[0]
    assert results['fps'] == 3
    assert results['imgs'][0].shape == (32, 32, 3)
    assert results['filename'].startswith(str(folder))
