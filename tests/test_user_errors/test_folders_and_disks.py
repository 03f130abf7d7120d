"""Files for folders, full disks, forbidden places, damaged galleries, and runs that collide."""

import errno
import gc
import json
import multiprocessing
import os
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from mmengine.config import Config

from diffusionret_mm.apis.user_errors import sentence as text_of
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.search import Gallery
from diffusionret_mm.storage import files
from diffusionret_mm.storage.locks import locked

pytest.importorskip('lance')
FORK = multiprocessing.get_context('fork')
TEXT = 'a red circle'


@pytest.fixture
def indexed(run_tool, model, clips, tmp_path):
    """A gallery of three clips."""
    done = run_tool('index', clips(3), tmp_path / 'gallery', *model)
    assert done.status == 0, done.err
    return tmp_path / 'gallery'


@pytest.fixture
def data(clips, tmp_path):
    """A data set in JSON files of three videos, the folder `data`."""
    folder = tmp_path / 'data'
    shutil.move(clips(3), folder / 'videos')
    entries = [
        dict(video_id=path.stem, video=str(path.relative_to(folder)), captions=['a cat'])
        for path in sorted(folder.rglob('*.mp4'))
    ]
    for split in ('train', 'val', 'test'):
        (folder / f'{split}.json').write_text(json.dumps(entries))
    return folder


def prepare(folder, *more):
    return 'data/prepare', 'json', '--annotations', folder, '--videos', folder, *more


def test_a_file_and_several_folders_can_be_indexed(run_tool, model, clips, tmp_path):
    folder, gallery = clips(4), tmp_path / 'gallery'
    file = folder / '0/clip00.mp4'
    for sources, count in (
        ([file], 1),
        ([folder / '0', folder / '1'], 3),
        ([file, folder / '2', folder / '0'], 4),
    ):
        done = run_tool('index', *sources, gallery, *model)
        assert (done.status, len(Gallery(gallery))) == (0, count), done.err


def test_a_file_where_a_folder_is_wanted(
    sentence, config, checkpoint, model, clips, data, tmp_path, indexed
):
    file = tmp_path / 'file.txt'
    file.write_text('text')
    for arguments in (
        ('index', clips(1, 'more'), file, *model),
        ('search', file, TEXT),
        ('demo', file),
        ('test', config, checkpoint, '--work-dir', file),
        ('train', config, '--work-dir', file),
        ('visualize', 'similarity', config, checkpoint, '--work-dir', file),
        ('visualize', 'curves', file),
        ('visualize', 'samples', config, '--out', file),
        ('export_onnx', config, checkpoint, '--out', file),
        ('compare', config, '--work-dir', file),
        ('check_parity', file),
        ('data/shapes', '--data-root', file),
        ('data/prepare', 'json', '--annotations', file),
        ('data/prepare', 'json', '--annotations', data, '--videos', file),
        prepare(data, '--out', file),
    ):
        assert str(file) in sentence(*arguments), arguments[0]
    assert file.read_text() == 'text'


def test_a_folder_where_a_file_is_wanted(sentence, config, checkpoint, tmp_path, indexed):
    folder = tmp_path / 'folder'
    folder.mkdir()
    for arguments in (
        ('search', indexed, '--video', folder),
        ('demo', indexed, '--sentences', folder),
        ('test', config, checkpoint, '--out', folder),
        ('print_config', folder),
        ('train_banzhaf_estimator', config, folder, '--iterations', 1),
    ):
        assert str(folder) in sentence(*arguments), arguments[0]


@pytest.fixture
def full_disk(monkeypatch):
    """Let the disk be full when files are written to it."""

    def refuse(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', refuse)
    monkeypatch.setattr(os, 'fdatasync', refuse)


def test_a_full_disk(sentence, config, checkpoint, model, clips, data, tmp_path, full_disk):
    for arguments in (
        ('train', config),
        ('test', config, checkpoint, '--out', tmp_path / 'out.json'),
        ('index', clips(1, 'more'), tmp_path / 'gallery', *model),
        ('visualize', 'samples', config, '--out', tmp_path / 'pictures'),
        prepare(data),
        ('data/shapes', '--data-root', tmp_path / 'new', '--num-train', 2),
    ):
        said = sentence(*arguments)
        assert 'disk is full' in said or 'No space left on device' in said, arguments[0]
        assert not list(tmp_path.rglob('*.tmp')), arguments[0]
    assert not (tmp_path / 'out.json').exists()


def test_the_disk_and_the_file_are_named(tmp_path, monkeypatch):
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(OSError, match='No space') as caught:  # noqa: SIM117
        with files.open_atomically(tmp_path / 'new/file.json'):
            raise error
    said = text_of(caught.value)
    assert f'The disk is full: {tmp_path}/new/file.json could not be written' in said
    assert 'MB left. Make room' in said
    assert text_of(OSError(errno.EDQUOT, 'quota')) == 'The disk is full. Make room and start again.'


@pytest.mark.parametrize(
    ('number', 'expected'),
    [
        (errno.EACCES, '/a/b cannot be used: permission denied.'),
        (errno.EPERM, '/a/b cannot be used: permission denied.'),
        (errno.EROFS, '/a/b cannot be written: its disk is read-only.'),
        (errno.ENOENT, 'There is no file or folder /a/b.'),
        (errno.EISDIR, '/a/b is a folder; a file is wanted.'),
        (errno.EIO, '/a/b: Input/output error (OSError).'),
    ],
)
def test_what_the_system_refuses_is_a_sentence(capsys, number, expected):
    with pytest.raises(SystemExit) as ended, stop_with_message():
        raise OSError(number, os.strerror(number), '/a/b')
    assert ended.value.code == 2
    assert capsys.readouterr().err == f'{expected}\n'


@pytest.fixture
def nobody(tmp_path_factory):
    """A folder that may be read but not written, for a user who is not root."""
    folder = tmp_path_factory.mktemp('forbidden')
    others = [parent for parent in folder.parents if parent.name.startswith('pytest-')]
    modes = {path: path.stat().st_mode for path in [folder, *others]}
    for path in modes:
        path.chmod(0o755)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    for path, mode in modes.items():
        path.chmod(mode)


@pytest.mark.parametrize('path', ['file.json', 'folder/file.json'])
def test_a_forbidden_place_is_named(nobody, capsys, path):
    with pytest.raises(SystemExit), stop_with_message():
        files.write_json(nobody / path, {})
    said = capsys.readouterr().err
    assert str(nobody) in said
    assert said.endswith('cannot be used: permission denied.\n')


def newest(table):
    return min(Path(table, '_versions').glob('*.manifest'))


def cut(path, size):
    with path.open('r+b') as file:
        file.truncate(size)


DAMAGES = {
    'table cut': lambda gallery: cut(newest(gallery / 'spans.lance'), 100),
    'table gone': lambda gallery: shutil.rmtree(gallery / 'spans.lance'),
    'table other': lambda gallery: newest(gallery / 'files.lance').write_text('<html>' * 900),
    'files gone': lambda gallery: shutil.rmtree(gallery / 'files.lance'),
    'data gone': lambda gallery: shutil.rmtree(gallery / 'spans.lance/data'),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_gallery(sentence, indexed, damage):
    DAMAGES[damage](indexed)
    said = sentence('search', indexed, TEXT)
    assert str(indexed) in said
    assert 'It is damaged, or was copied in part' in said or 'holds no gallery' in said
    if damage.startswith('table'):
        said = sentence('demo', indexed)
        assert str(indexed) in said


def test_a_gallery_of_before(sentence, model, clips, tmp_path):
    (tmp_path / 'old').mkdir()
    (tmp_path / 'old/gallery.sqlite').touch()
    for arguments in (
        ('index', clips(1), tmp_path / 'old', *model),
        ('search', tmp_path / 'old', TEXT),
        ('demo', tmp_path / 'old'),
    ):
        said = sentence(*arguments)
        assert f'python tools/convert_gallery.py {tmp_path}/old NEW' in said, arguments[0]


def _hold(target, is_held):
    with locked(target):
        is_held.set()
        multiprocessing.Event().wait(100)


@pytest.fixture
def hold():
    """A function that lets another process hold the lock of a path; it returns the process."""
    holders = {}

    def start(target):
        if target not in holders:
            is_held = FORK.Event()
            holders[target] = FORK.Process(target=_hold, args=(target, is_held))
            holders[target].start()
            assert is_held.wait(60)
        return holders[target].pid

    yield start
    for process in holders.values():
        process.kill()
        process.join()


def test_a_lock_that_is_held(sentence, config, checkpoint, data, tmp_path, hold):
    store = ('--out', tmp_path / 'out', '--frames', 2, '--size', 32)
    work, compared, onnx = (tmp_path / name for name in ('run', 'compared', 'onnx'))
    for target, arguments in (
        (work / 'run', ('train', config)),
        (work / 'run', ('train', config, '--resume')),
        (work / 'run', ('test', config, checkpoint)),
        (work / 'run', ('visualize', 'similarity', config, checkpoint)),
        (data / 'manifest.json', prepare(data)),
        (tmp_path / 'out/videos_224_3fps', prepare(data, '--compress', '--out', tmp_path / 'out')),
        (tmp_path / 'out/frames_2_32', prepare(data, *store)),
        (compared / 'comparison', ('compare', config, '--work-dir', compared)),
        (onnx, ('export_onnx', config, checkpoint, '--out', onnx)),
    ):
        pid = hold(target)
        assert f'(process {pid} on ' in sentence(*arguments), arguments[0]


def test_batches_larger_than_the_data_set(sentence, config, run_tool):
    options = ('train_dataloader.batch_size=99', 'auto_scale_lr.base_batch_size=99')
    said = sentence('train', config, '--cfg-options', *options)
    assert 'has 6 items, fewer than a batch of 99' in said
    options = ('train_dataloader.batch_size=99',)
    arguments = 'train_banzhaf_estimator', config, 'out.pth', '--cfg-options', *options
    assert 'has 6 items, fewer than a batch of 99' in sentence(*arguments)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('model = dict(\n', 'SyntaxError'),
        ("_base_ = 'none.py'\n", 'none.py'),
        ("model = dict(type='NoSuchModel')\n", 'NoSuchModel'),
        ('model = undefined_name\n', 'undefined_name'),
    ],
)
def test_a_config_with_a_mistake(sentence, checkpoint, tmp_path, config, text, expected):
    broken = tmp_path / 'broken.py'
    base = f'_base_ = {str(config)!r}\n' if 'NoSuchModel' in text else ''
    broken.write_text(base + text.replace("dict(type='No", "dict(_delete_=True, type='No"))
    assert expected in sentence('test', broken, checkpoint)


def test_options_with_a_mistake(sentence, config, checkpoint):
    for option, expected in (
        ('model.no_such_option=3', 'no_such_option'),
        ('model.similarity.type=NoSuch', 'NoSuch'),
        ('test_dataloader.dataset.pipeline.0.type=NoSuch', 'NoSuch'),
    ):
        assert expected in sentence('test', config, checkpoint, '--cfg-options', option)


def test_captions_in_utf_16(sentence, indexed, data, tmp_path):
    content = (data / 'train.json').read_text()
    for encoding in ('utf-16', 'utf-16-be'):
        (data / 'train.json').write_text(content, encoding=encoding)
        assert 'train.json is not UTF-8 but UTF-16' in sentence(*prepare(data))
        lines = tmp_path / 'lines.txt'
        lines.write_text('a cat\na dog\n', encoding=encoding)
        said = sentence('demo', indexed, '--sentences', lines)
        assert 'lines.txt is not UTF-8 but UTF-16' in said


def test_defects_of_the_program_keep_their_traceback():
    with pytest.raises(ZeroDivisionError), stop_with_message():
        Fraction(1, 0)
    with pytest.raises(KeyError), stop_with_message():
        Config(dict(a=1)).to_dict()['b']


def test_the_traceback_comes_back_on_demand(monkeypatch):
    monkeypatch.setenv('DIFFUSIONRET_MM_TRACEBACK', '1')
    with pytest.raises(ValueError, match='wrong'), stop_with_message():
        raise ValueError('wrong')


def test_interrupted(capsys, monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, 'freeze', lambda: frozen.append(True))
    with pytest.raises(SystemExit) as ended, stop_with_message():
        raise KeyboardInterrupt
    assert (ended.value.code, capsys.readouterr().err) == (130, 'Stopped.\n')
    assert frozen  # the process ends without a search for garbage, which takes seconds
