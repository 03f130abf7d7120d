"""The page as visitors and attackers use it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from page_client import CLIENT, call, file_data, send
from PIL import Image

from diffusionret_mm.demo.cards import table
from diffusionret_mm.demo.page import Page
from diffusionret_mm.demo.service import MAX_CHARACTERS, DemoService
from diffusionret_mm.visualization.style import to_image

TEXT = 'a red circle moves left'


def test_a_search_and_its_videos(server):
    kind, (html, chosen, actions, details) = call(server, 'search', TEXT)
    assert kind == 'complete'
    assert html.count('<video') == len(chosen['choices']) == 5
    assert (actions['visible'], details) == (True, '')
    address = html.partition(' src="')[2].partition('#')[0]
    video = CLIENT.get(server + address, headers=dict(Range='bytes=0-99'))
    assert video.status_code == 206
    assert video.headers['content-type'] == 'video/mp4'
    assert len(video.content) == 100


def test_boxes_are_hidden_until_they_have_something_to_show(server):
    parts = CLIENT.get(f'{server}/config').json()['components']
    of = {part['props'].get('elem_id'): part['props'] for part in parts}
    assert not of['results'].get('value')
    assert not of['details'].get('value')
    hidden = [part['type'] for part in parts if part['props'].get('visible') is False]
    assert hidden == ['column']


def test_an_address_with_a_sentence_searches(server, service):
    kind, (sentence, html, *_) = call(server, 'open', TEXT)
    assert (kind, sentence) == ('complete', TEXT)
    assert html == call(server, 'search', TEXT)[1][0]
    kind, values = call(server, 'open', '')
    assert kind == 'complete'
    assert all(value.get('__type__') == 'update' and 'value' not in value for value in values)
    assert call(server, 'open', 'a' * (MAX_CHARACTERS + 1))[0] == 'error'


def test_the_page_brings_its_script_and_style(server):
    page = CLIENT.get(server).text
    assert 'window.searchPage = {' in page
    assert '.timeline .bar {' in page


def test_no_other_file_is_served(server, service):
    video = service.find(TEXT).videos[0].hits[0].video
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
        answer = CLIENT.get(httpx.URL(server).copy_with(raw_path=path.encode()))
        assert answer.status_code in (403, 404, 422), path
        assert b'root:' not in answer.content
        assert b'LANC' not in answer.content


def test_bad_requests_get_an_answer_and_the_page_goes_on(server):
    for name, data in (
        ('search', ['a' * (MAX_CHARACTERS + 1)]),
        ('search', ['word ' * 1_000_000]),
        ('search', ['']),
        ('search', [None]),
        ('like', ['../../etc/passwd']),
        ('like', ['0' * 32]),
        ('like', [7]),
        ('like_video', [file_data('/etc/passwd')]),
        ('like_video', [None]),
        ('like_image', [file_data('/etc/passwd')]),
        ('like_image', [None]),
        ('why', [TEXT, 'x']),
        ('describe', [None, '']),
        ('search', []),
    ):
        kind, _ = call(server, name, *data)
        assert kind in ('error', 'refused'), (name, str(data)[:60])
    assert call(server, 'search', TEXT)[0] == 'complete'


def test_uploads_of_both_kinds_and_of_none(server, service, tmp_path):
    text = tmp_path / 'text.mp4'
    text.write_text('no video')
    image = tmp_path / 'image.png'
    Image.new('RGB', (30, 20), 'red').save(image)
    video = Path(service.find(TEXT).videos[0].hits[0].video)
    kinds = {
        (name, file.name): call(server, name, file_data(send(server, file)))[0]
        for name, file in product(('like_video', 'like_image'), (text, image, video))
    }
    answered = {('like_video', video.name), ('like_image', image.name)}
    assert {request for request, kind in kinds.items() if kind == 'complete'} >= answered
    refused = {('like_video', text.name), ('like_image', text.name), ('like_image', video.name)}
    assert {request for request, kind in kinds.items() if kind == 'error'} >= refused


def test_fifty_requests_at_once(server):
    barrier = threading.Barrier(50)

    def ask(number):
        with httpx.Client(timeout=120, verify=False) as client:
            barrier.wait()
            return call(server, 'search', f'{TEXT} {number}', client=client)[0]

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
    kind, (html, *_) = call(server, 'search', text)
    assert (kind, html.count('<video')) == ('complete', 5)
    span = service.find(TEXT).videos[0].hits[0].span.id
    to_image(service.attention(text, span))
    to_image(service.diffusion(text, span))
    assert '<script>' not in table(service.describe(span, text).hits)


def test_pictures_and_captions(service):
    page = Page.__new__(Page)
    page.service = service
    span = service.find(TEXT).videos[0].hits[0].span.id
    assert page._why(TEXT, span).count('<img alt=') == 2
    assert page._describe(span, '').count('<tr>') == 2


def test_half_a_character_is_refused(server):
    assert call(server, 'search', 'half \ud83d')[0] == 'error'
    assert call(server, 'search', TEXT)[0] == 'complete'


def test_messages_are_no_html(inferencer, write_clip, tmp_path):
    video = write_clip(tmp_path / 'videos/<img src=x onerror=alert(1)>.mp4')
    service = DemoService(inferencer, inferencer.index(video.parent, tmp_path / 'gallery'))
    ((span,),) = (found.spans for found in service.find(TEXT).videos)
    video.unlink()
    refused = []
    page = Page.__new__(Page)
    page.service = service
    page.gr = SimpleNamespace(Error=lambda text: refused.append(text) or ValueError(text))
    with pytest.raises(ValueError, match='is gone'):
        page._like(span.span.id)
    assert refused == ['The file of &lt;img src=x onerror=alert(1)&gt;.mp4 is gone.']
