"""What the page reads: files that its visitors uploaded, and no others."""

import shutil
import threading
from pathlib import Path

import pytest
from page_client import call, file_data, send
from PIL import Image

from diffusionret_mm.apis import decoding
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo import uploads as uploads_module
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.uploads import (
    MAX_UPLOAD_MB,
    check_container,
    check_image,
    check_upload,
)

TEXT = 'a red circle moves left'
FUNCTIONS = {
    'like_video': lambda file: [file],
    'like_image': lambda file: [file],
    'search': lambda file: [file],
    'like': lambda file: [file],
    'describe': lambda file: [0, [dict(inside=file)]],
}


@pytest.fixture
def uploads(server, tmp_path, write_clip):
    """Folder of the page's uploads, with one in it."""
    sent = Path(send(server, write_clip(tmp_path / 'own/clip.mp4')))
    yield sent.parents[1]
    for path in sent.parents[1].iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def contents(folder):
    return sorted(path for path in folder.rglob('*') if path.stat().st_size)


@pytest.mark.parametrize('function', FUNCTIONS)
def test_no_file_of_the_server_is_read(server, service, uploads, tmp_path, function):
    video = Path(service.find(TEXT).videos[0].hits[0].video)
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
    assert call(server, 'like_video', file_data(sent))[0] == 'complete'


def test_a_large_file_is_refused_unread(server, uploads):
    large = uploads / 'large.mp4'
    with large.open('wb') as file:
        file.truncate(MAX_UPLOAD_MB * 10**6 + 1)
    assert call(server, 'like_video', file_data(large))[0] == 'error'
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
    video = service.find(TEXT).videos[0].hits[0].video
    playlist = tmp_path / name
    playlist.write_text(text.format(video))
    with pytest.raises(VideoReadError):
        check_container(str(playlist))
    with pytest.raises(RequestError, match='cannot be read as a video'):
        service.like_video(str(playlist))


def test_an_upload_is_an_image_of_a_plain_format_and_size(service, tmp_path, monkeypatch):
    program = tmp_path / 'program.png'
    program.write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n')
    with pytest.raises(VideoReadError, match='cannot identify image file'):
        check_image(str(program))
    with pytest.raises(RequestError, match='cannot be read as an image'):
        service.like_image(str(program))
    image = tmp_path / 'image.png'
    Image.new('RGB', (30, 20), 'red').save(image)
    check_image(str(image))
    monkeypatch.setattr(uploads_module, 'MAX_PIXELS', 599)
    with pytest.raises(VideoReadError, match='30 x 20 pixels'):
        check_image(str(image))


@pytest.fixture
def waits(monkeypatch, gate):
    """A gate that the decoding of videos named `waits` waits at; processes are forks."""
    pipeline = decoding._pipeline

    def slow(transforms):
        run = pipeline(transforms)
        return lambda entry: ('waits' in str(entry['filename']) and gate.wait()) or run(entry)

    monkeypatch.setattr(decoding, '_pipeline', slow)
    return gate


def test_uploads_that_take_long_hold_up_nobody(server, waits, tmp_path, write_clip):
    slow = [send(server, write_clip(tmp_path / f'{n}/waits.mp4', 10 + n)) for n in range(2)]
    good = send(server, write_clip(tmp_path / 'good.mp4', 20))
    kinds = {}

    def upload(path):
        kinds[path] = call(server, 'like_video', file_data(path))[0]

    threads = [threading.Thread(target=upload, args=(path,)) for path in slow]
    for thread in threads:
        thread.start()
    assert call(server, 'search', TEXT)[0] == 'complete'
    upload(good)
    assert kinds == {good: 'complete'}
    waits.open()
    for thread in threads:
        thread.join()
    assert kinds == {good: 'complete'} | dict.fromkeys(slow, 'complete')


def test_videos_that_never_end_are_given_up(service, waits, monkeypatch, tmp_path):
    span = service.find(TEXT).videos[0].hits[0]
    upload = shutil.copy(span.video, tmp_path / 'waits.mp4')
    monkeypatch.setattr(service.reader, 'max_seconds', 0.5)
    with pytest.raises(RequestError, match='or not in 0.5 seconds'):
        service.like_video(upload)
    monkeypatch.setattr(decoding, '_pipeline', lambda transforms: lambda entry: waits.wait())
    with pytest.raises(RequestError, match='or not in 0.5 seconds'):
        service.attention(TEXT, span.span.id)
