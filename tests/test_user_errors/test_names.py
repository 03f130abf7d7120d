"""Folders as they are found: bad names, links, pipes and sockets, and rare kinds of video."""

import json
import os
import shutil
import socket
from pathlib import Path

import av
import numpy as np
import pytest

from diffusionret_mm.apis.decoding import list_videos
from diffusionret_mm.datasets.preparation import check_dataset
from diffusionret_mm.datasets.preparation.findings import format_findings
from diffusionret_mm.datasets.video_files import VideoFiles
from diffusionret_mm.search import Gallery
from diffusionret_mm.storage.names import is_utf8, printable

pytest.importorskip('lance')

# Container and codec of videos that are called otherwise than most.
RARE = {
    'gif': ('gif', 'gif', 'rgb8'),
    'vob': ('vob', 'mpeg2video', 'yuv420p'),
    'asf': ('asf', 'wmv2', 'yuv420p'),
    'f4v': ('f4v', 'libx264', 'yuv420p'),
    'm2v': ('mpeg2video', 'mpeg2video', 'yuv420p'),
    'mxf': ('mxf', 'mpeg2video', 'yuv420p'),
    'divx': ('avi', 'mpeg4', 'yuv420p'),
    'MPE': ('mpeg', 'mpeg1video', 'yuv420p'),
    'ogm': ('ogg', 'libvpx', 'yuv420p'),
    'nut': ('nut', 'mpeg4', 'yuv420p'),
    'm2t': ('mpegts', 'mpeg2video', 'yuv420p'),
    'mk3d': ('matroska', 'libx264', 'yuv420p'),
}


def write_rare(path):
    form, codec, pixels = RARE[path.suffix[1:]]
    with av.open(str(path), 'w', format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixels
        for number in range(12):
            image = np.full((96, 128, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image)
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode())
    return path


REASONS = {
    'gone.mp4': 'it is a link to nothing',
    'gone': 'it is a link to nothing',
    'self.mp4': 'too many levels of symbolic links',
    'ring': 'too many levels of symbolic links',
    'gnir': 'too many levels of symbolic links',
    'pipe.mp4': 'it is a pipe',
    'pipe': 'it is a pipe',
    'zero.mp4': 'it is a device',
    'socket.mp4': 'it is a socket',
    '0/back': 'it leads to a folder that is searched already',
    os.fsdecode(b'caf\xe9.mp4'): 'its name is not UTF-8; rename it',
    os.fsdecode(b'b\xfcro'): 'its name is not UTF-8; rename it',
}


@pytest.fixture
def odd(tmp_path, write_clip, clips, monkeypatch):
    """A folder with three good videos, one in a linked folder, and much else; and its reasons."""
    folder = clips(2)
    elsewhere = write_clip(tmp_path / 'elsewhere/inside/linked.mp4')
    (folder / 'link').symlink_to(elsewhere.parents[1])
    raw = os.fsencode(folder)
    shutil.copy(elsewhere, raw + b'/caf\xe9.mp4')
    os.mkdir(raw + b'/b\xfcro')
    shutil.copy(elsewhere, raw + b'/b\xfcro/inside.mp4')
    add_links(folder, tmp_path / 'nothing')
    os.mkfifo(folder / 'pipe.mp4')
    os.mkfifo(folder / 'pipe')
    for name in ('notes.txt', 'film.xyz', 'Makefile', '.hidden.mp4'):
        (folder / name).write_text('text')
    with socket.socket(socket.AF_UNIX) as listening, monkeypatch.context() as there:
        there.chdir(folder)  # the name of a socket is short
        listening.bind('socket.mp4')
        there.undo()
        yield folder, {str(folder / name): reason for name, reason in REASONS.items()}


def add_links(folder, nothing):
    links = {
        'gone.mp4': nothing.with_suffix('.mp4'),
        'gone': nothing,
        'self.mp4': folder / 'self.mp4',
        'ring': folder / 'gnir',
        'gnir': folder / 'ring',
        '0/back': folder,
        'zero.mp4': '/dev/zero',
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)


GOOD = ['0/clip00.mp4', '1/clip01.mp4', 'link/inside/linked.mp4']
OTHERS = '1 without extension, 1 .txt, 1 .xyz'


def test_what_a_folder_holds(odd):
    folder, reasons = odd
    files = VideoFiles(folder)
    assert sorted(files.paths) == [str(folder / name) for name in GOOD]
    assert files.passed_over == reasons
    assert files.other_files == OTHERS
    listing = list_videos(folder)
    assert listing.paths == sorted(files.paths)
    assert (listing.passed_over, listing.other_files) == (reasons, OTHERS)


@pytest.fixture
def logged(monkeypatch):
    """What is logged."""
    from diffusionret_mm.apis import indexing

    lines = []
    monkeypatch.setattr(indexing, 'print_log', lambda text, **kwargs: lines.append(text))
    return lines


def test_the_good_ones_are_indexed_and_the_others_named(
    run_tool, config, checkpoint, odd, logged, tmp_path
):
    folder, reasons = odd
    done = run_tool('index', config, checkpoint, folder, tmp_path / 'gallery')
    assert done.status == 0, done.err
    paths = Gallery(tmp_path / 'gallery').paths()
    assert paths == [str(folder / name) for name in GOOD]
    assert OTHERS in logged[-1]
    for path, reason in reasons.items():
        assert f'{printable(path)}: {reason}' in logged[-1]
    logged[-1].encode()  # can be printed
    done = run_tool('index', config, checkpoint, *sorted(reasons), folder / GOOD[0], folder)
    assert done.status == 2  # the last one is the gallery
    done = run_tool(
        'index', config, checkpoint, *sorted(reasons), folder / GOOD[0], tmp_path / 'second'
    )
    assert done.status == 0, done.err
    assert 'its name is not UTF-8' in logged[-1]


@pytest.mark.parametrize('name', ['pipe.mp4', 'gone.mp4', 'self.mp4', 'socket.mp4', 'zero.mp4'])
def test_one_odd_file_alone(run_tool, sentence, config, checkpoint, odd, tmp_path, name):
    folder, reasons = odd
    reason = reasons[str(folder / name)]
    gallery = tmp_path / 'gallery'
    assert reason in sentence('index', config, checkpoint, folder / name, gallery)
    assert not gallery.exists()
    assert run_tool('index', config, checkpoint, folder / GOOD[0], gallery).status == 0
    said = sentence('search', config, checkpoint, gallery, '--video', folder / name)
    assert f'{folder / name}: {reason}' in said


def test_a_folder_whose_name_is_not_utf8(sentence, config, checkpoint, odd, tmp_path):
    folder = os.path.join(odd[0], os.fsdecode(b'b\xfcro'))
    said = sentence('index', config, checkpoint, folder, tmp_path / 'gallery')
    assert 'its name is not UTF-8' in said
    arguments = 'data/prepare', 'json', '--annotations', tmp_path, '--videos', folder
    (tmp_path / 'test.json').write_text('[{"video_id": "a", "video": "a", "captions": ["a"]}]')
    assert 'is not UTF-8; rename the folder' in sentence(*arguments)


def test_preparation_goes_on_and_names_the_others(odd, tmp_path):
    folder, reasons = odd
    names = [*GOOD, *(str(Path(path).relative_to(folder)) for path in reasons if is_utf8(path))]
    entries = [dict(video_id=f'{name}', video=name, captions=['a cat']) for name in names]
    (tmp_path / 'test.json').write_text(json.dumps(entries))
    preparation = check_dataset('json', tmp_path, folder, tmp_path / 'manifest.json')
    records = preparation.manifest.videos
    assert [name for name in names if records[name].status == 'ok'] == GOOD
    text = format_findings(preparation)
    text.encode()
    for path, reason in reasons.items():
        assert f'{printable(path)} is passed over: {reason}.' in text
    assert f'Files that are not named like a video: {OTHERS}.' in text


def test_a_public_data_set_goes_on_and_names_the_others(odd, tmp_path, run_tool):
    folder, reasons = odd
    clips = ['clip00', 'clip01', 'linked', 'gone', 'pipe']
    lines = [f'{name}\t1\t2\t1\t2\tShe nods.' for name in clips]
    (tmp_path / 'LSMDC16_challenge_1000_publictect.csv').write_text('\n'.join(lines))
    done = run_tool('data/prepare', 'lsmdc', '--annotations', tmp_path, '--videos', folder)
    assert done.status == 1
    assert '2 videos are missing: gone, pipe' in done.out
    for path, reason in reasons.items():
        assert f'{printable(path)} is passed over: {reason}.' in done.out


@pytest.mark.parametrize('suffix', RARE)
def test_rare_kinds_are_found_by_every_tool(new_inferencer, tmp_path, suffix):
    folder = tmp_path / 'videos'
    folder.mkdir()
    path = write_rare(folder / f'a.{suffix}')
    gallery = new_inferencer(num_workers=1).index(folder, tmp_path / 'gallery')
    assert gallery.paths() == [str(path)]
    assert VideoFiles(folder).find('a') == path
    (tmp_path / 'LSMDC16_challenge_1000_publictect.csv').write_text('a\t1\t2\t1\t2\tShe nods.')
    preparation = check_dataset('lsmdc', tmp_path, folder, tmp_path / 'manifest.json', 1)
    assert preparation.manifest.videos['a'].status == 'ok', preparation.manifest.videos['a']


def test_usual_kinds_go_before_rare_ones(tmp_path):
    for name in ('a.gif', 'a.mp4', 'b.divx', 'b.webm', 'c.asf'):
        (tmp_path / name).touch()
    files = VideoFiles(tmp_path)
    found = [files.find(name).name for name in 'abc']
    assert found == ['a.mp4', 'b.webm', 'c.asf']
