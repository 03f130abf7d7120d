"""What the page reads: files that its visitors uploaded, and no others."""

import shutil
import threading
import time
from pathlib import Path

import pytest
from page_client import call, file_data, send

from diffusionret_mm.apis import decoding
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo import playback as playback_module
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.playback import Playback
from diffusionret_mm.demo.uploads import MAX_UPLOAD_MB, check_container, check_upload

TEXT = 'a red circle moves left'
FUNCTIONS = {
    'like_upload': lambda file: [file],
    'search': lambda file: [file],
    'like': lambda file: [file],
    'describe': lambda file: [0, [dict(inside=file)]],
}


@pytest.fixture
def uploads(server, tmp_path, write_clip):
    """Folder of the page's uploads, with one in it."""
    return Path(send(server, write_clip(tmp_path / 'own/clip.mp4'))).parents[1]


def contents(folder):
    return sorted(path for path in folder.rglob('*') if path.stat().st_size)


@pytest.mark.parametrize('function', FUNCTIONS)
def test_no_file_of_the_server_is_read(server, service, uploads, tmp_path, function):
    video = Path(service.file_of(service.find(TEXT)[0].id))
    drawing = tmp_path / 'drawing.svg'
    drawing.write_text('<svg/>')
    elsewhere = tmp_path / 'gradio/0/clip.mp4'  # the uploads of another page
    elsewhere.parent.mkdir(parents=True)
    shutil.copy(video, elsewhere)
    (uploads / 'link.mp4').symlink_to(video)
    before = contents(uploads)
    for file in (
        file_data(video),
        file_data(video, is_stream=True),
        file_data(video, url=f'{server}/video/0', size=10),
        file_data(f'{uploads}/../../{video.relative_to("/")}'),
        file_data(f'{uploads}/../../../../../../../..{video}'),
        file_data(uploads / 'link.mp4'),
        file_data(drawing),
        file_data(elsewhere),
        file_data('/dev/zero'),
        file_data('/proc/self/environ'),
        file_data(f'file://{video}'),
        file_data(f'{server}/video/0'),
        file_data(uploads),
        file_data('nothing\0.mp4'),
        file_data(uploads / 'none.mp4'),
        dict(path=str(video)),
    ):
        kind, _ = call(server, function, *FUNCTIONS[function](file))
        assert kind == 'error', file
        assert contents(uploads) == before, file
    assert call(server, 'search', TEXT)[0] == 'complete'


def test_an_own_upload_is_read(server, uploads, tmp_path, write_clip):
    sent = send(server, write_clip(tmp_path / 'own/other name [1].mp4', 20))
    assert Path(sent).is_relative_to(uploads)
    assert call(server, 'like_upload', file_data(sent))[0] == 'complete'


def test_a_large_file_is_refused_unread(server, uploads):
    large = uploads / 'large.mp4'
    with large.open('wb') as file:
        file.truncate(MAX_UPLOAD_MB * 10**6 + 1)
    assert call(server, 'like_upload', file_data(large))[0] == 'error'
    with pytest.raises(RequestError, match=f'may have {MAX_UPLOAD_MB} MB'):
        check_upload(large, uploads)


@pytest.mark.parametrize('path', [7, None, ['a'], '', '\0', 'x' * 5000])
def test_what_is_no_path_is_refused(tmp_path, path):
    with pytest.raises(RequestError, match='only uploaded files'):
        check_upload(path, tmp_path)


@pytest.mark.parametrize('name', ['list.mp4', 'list.m3u8', 'list.avi'])
@pytest.mark.parametrize(
    'text',
    [
        '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.2,\n{}\n#EXT-X-ENDLIST\n',
        'ffconcat version 1.0\nfile {}\n',
        '<?xml version="1.0"?><MPD profiles="urn:mpeg:dash:profile:isoff-main:2011">{}</MPD>',
        'v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n{}',
    ],
)
def test_an_upload_leads_to_no_other_file(service, tmp_path, name, text):
    """Decoders follow playlists, whatever the file is called."""
    video = service.file_of(service.find(TEXT)[0].id)
    playlist = tmp_path / name
    playlist.write_text(text.format(video))
    with pytest.raises(VideoReadError):
        check_container(str(playlist))
    with pytest.raises(RequestError, match='cannot be read as a video'):
        service.like_upload(str(playlist))


@pytest.fixture
def hangs(monkeypatch):
    """Let the decoding of videos named `hangs` take for ever; the pool's processes are forks."""
    pipeline = decoding._pipeline

    def slow(transforms):
        run = pipeline(transforms)
        return lambda entry: time.sleep(3600) if 'hangs' in entry['filename'] else run(entry)

    monkeypatch.setattr(decoding, '_pipeline', slow)


def test_an_upload_that_never_ends_holds_up_nobody(server, service, hangs, tmp_path, write_clip):
    service.max_seconds = 8
    bad = [send(server, write_clip(tmp_path / f'{n}/hangs.mp4', 10 + n)) for n in range(2)]
    good = send(server, write_clip(tmp_path / 'good.mp4', 20))
    kinds = {}

    def upload(path):
        kinds[path] = call(server, 'like_upload', file_data(path))[0]

    threads = [threading.Thread(target=upload, args=(path,)) for path in bad]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(1)
    assert call(server, 'search', TEXT)[0] == 'complete'
    upload(good)
    assert time.perf_counter() - start < 7
    assert kinds == {good: 'complete'}
    for thread in threads:
        thread.join()
    assert kinds == {good: 'complete'} | dict.fromkeys(bad, 'error')
    assert 8 < time.perf_counter() - start < 20


def test_a_gallery_video_that_never_ends_is_given_up(service, monkeypatch):
    span = service.find(TEXT)[0].id
    service.max_seconds = 1
    monkeypatch.setattr(decoding, '_pipeline', lambda transforms: lambda entry: time.sleep(3600))
    with pytest.raises(RequestError, match='or not in 1 seconds'):
        service.attention(TEXT, span)


def test_copies_for_browsers_have_a_time_limit(tmp_path, write_clip, monkeypatch):
    transcode = playback_module._transcode

    def slow(source, target):
        return time.sleep(3600) if 'hangs' in source else transcode(source, target)

    monkeypatch.setattr(playback_module, '_transcode', slow)
    bad, good = (str(write_clip(tmp_path / f'{name}.mp4')) for name in ('hangs', 'good'))
    playback = Playback(tmp_path / 'copies', timeout=4)
    errors = []

    def ask():
        with pytest.raises(VideoReadError, match='longer than 4 s'):
            playback.file_for(bad)
        errors.append(time.perf_counter())

    thread = threading.Thread(target=ask)
    start = time.perf_counter()
    thread.start()
    time.sleep(0.5)
    assert playback.file_for(good).is_file()
    assert time.perf_counter() - start < 4
    thread.join()
    assert errors[0] - start < 8
