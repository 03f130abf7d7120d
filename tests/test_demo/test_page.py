"""The page as visitors and attackers use it."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import av
import httpx
import pytest
from page_client import call, file_data, send

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo.page import Page, cards, table
from diffusionret_mm.demo.playback import Playback
from diffusionret_mm.demo.service import MAX_CHARACTERS, Found
from diffusionret_mm.visualization.style import to_image

TEXT = 'a red circle moves left'


def test_a_search_and_its_videos(server):
    kind, (html, _) = call(server, 'search', TEXT)
    assert kind == 'complete'
    assert html.count('<video') == 5
    address = html.partition('src="')[2].partition('"')[0]
    video = httpx.get(server + address, headers=dict(Range='bytes=0-99'))
    assert video.status_code == 206
    assert video.headers['content-type'] == 'video/mp4'
    assert len(video.content) == 100


def test_no_other_file_is_served(server, service):
    video = service.file_of(service.find(TEXT)[0].id)
    manifest = next(Path(service.gallery.spans.place, '_versions').glob('*.manifest'))
    for path in (
        '/video/-1',
        '/video/0',
        f'/video/{"0" * 32}',
        "/video/' OR 'a' = 'a",
        '/video/../gallery/files.lance',
        '/video/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
        '/gradio_api/file=/etc/passwd',
        '/gradio_api/file=../../../../etc/passwd',
        f'/gradio_api/file={manifest}',
        f'/gradio_api/file={video}',
        '/file=/etc/passwd',
    ):
        answer = httpx.get(httpx.URL(server).copy_with(raw_path=path.encode()))
        assert answer.status_code in (403, 404, 422), path
        assert b'root:' not in answer.content
        assert b'LANC' not in answer.content


def test_bad_requests_get_an_answer_and_the_page_goes_on(server, tmp_path):
    for name, data in (
        ('search', ['a' * (MAX_CHARACTERS + 1)]),
        ('search', ['word ' * 1_000_000]),
        ('search', ['']),
        ('search', [None]),
        ('like', ['../../etc/passwd']),
        ('like', ['0' * 32]),
        ('like', [7]),
        ('like_upload', [file_data('/etc/passwd')]),
        ('like_upload', [None]),
        ('why', [TEXT, 'x']),
        ('describe', [None, '']),
        ('search', []),
    ):
        kind, _ = call(server, name, *data)
        assert kind in ('error', 'refused'), (name, str(data)[:60])
    assert call(server, 'search', TEXT)[0] == 'complete'


def test_an_upload_that_is_no_video(server, tmp_path, service):
    text = tmp_path / 'text.mp4'
    text.write_text('no video')
    kinds = []
    for file in (text, Path(service.file_of(service.find(TEXT)[0].id))):
        kinds.append(call(server, 'like_upload', file_data(send(server, file)))[0])
    assert kinds == ['error', 'complete']


def test_fifty_requests_at_once(server):
    barrier = threading.Barrier(50)

    def ask(number):
        barrier.wait()
        return call(server, 'search', f'{TEXT} {number}')[0]

    with ThreadPoolExecutor(50) as pool:
        kinds = list(pool.map(ask, range(50)))
    assert set(kinds) <= {'complete', 'refused'}
    assert kinds.count('complete') >= 1
    assert call(server, 'search', TEXT)[0] == 'complete'


@pytest.mark.parametrize(
    'text',
    ['[/b] [red]a[/red]', '<script>alert(1)</script>', r'$\frac{a}$ *b* {0} %s', 'a\x1b[31m\n'],
)
def test_any_sentence_is_answered(server, service, text):
    kind, (html, _) = call(server, 'search', text)
    assert (kind, html.count('<video')) == ('complete', 5)
    span = service.find(TEXT)[0].id
    to_image(service.attention(text, span))
    to_image(service.diffusion(text, span))
    assert '<script>' not in table(service.describe(span, text).hits)


def test_half_a_character_is_refused(server):
    assert call(server, 'search', 'half \ud83d')[0] == 'error'
    assert call(server, 'search', TEXT)[0] == 'complete'


def test_messages_are_no_html(server, service):
    video = Path(service.file_of(service.find(TEXT)[0].id))
    odd = video.rename(video.with_name('<img src=x onerror=alert(1)>.mp4'))
    gallery = service.inferencer.index(odd.parent, service.gallery.folder)
    rows = gallery.latest().dataset.to_table(columns=['id', 'path']).to_pylist()
    span = next(row['id'] for row in rows if row['path'].endswith(odd.name))
    odd.unlink()
    refused = []
    page = Page.__new__(Page)
    page.gr = SimpleNamespace(Error=lambda text: refused.append(text) or ValueError(text))
    with pytest.raises(ValueError, match='is gone'):
        page._answer(service.file_of)(span)
    assert refused == ['The file of &lt;img src=x onerror=alert(1)&gt;.mp4 is gone.']


def test_names_are_no_html():
    html = cards([Found('3', '<script>alert(1)</script>.mp4', 0.5, None)])
    assert '<script>' not in html
    assert 'similarity 0.500<' in html


def test_copies_for_browsers(tmp_path, write_clip):
    clip = write_clip(tmp_path / 'clip.mp4', 20, size=(1000, 701))
    (tmp_path / 'copies').mkdir()
    playback = Playback(tmp_path / 'copies')
    copy = playback.file_for(str(clip))
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert (stream.width, stream.height) == (480, 336)
        assert len(list(container.decode(stream))) == 20
    before = copy.stat().st_mtime_ns
    assert playback.file_for(str(clip)) == copy
    assert copy.stat().st_mtime_ns == before
    assert playback.file_for(str(copy)) == copy  # browsers play it as it is
    (tmp_path / 'text.mp4').write_text('no video')
    with pytest.raises(VideoReadError):
        playback.file_for(str(tmp_path / 'text.mp4'))


@pytest.mark.skipif(shutil.which('chromium') is None, reason='no Chromium')
def test_the_page_in_a_browser(server):
    playwright = pytest.importorskip('playwright.sync_api')
    with playwright.sync_playwright() as p:
        options = dict(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
        browser = p.chromium.launch(**options)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(server)
        page.fill('#sentence textarea, #sentence input', TEXT)
        page.click('#search')
        page.wait_for_selector('#results video')
        playing = "[...document.querySelectorAll('#results video')]"
        page.wait_for_function(f'{playing}.length == 5 && {playing}.every(v => v.currentTime > 0)')
        page.click('#why')
        page.wait_for_selector('#attention img')
        page.wait_for_selector('#diffusion img')
        page.click('#describe')
        page.wait_for_selector('#captions table')
        assert 'it rains' in page.inner_text('#captions')
        page.click('#like')
        page.wait_for_function(f'{playing}.length == 4')
        browser.close()
