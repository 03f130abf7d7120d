"""The page in headless Chromium: that of the variable CHROMIUM, or of the path."""

import os
import shutil

import numbered_clips
import numpy as np
import pytest
from PIL import Image

CHROMIUM = os.environ.get('CHROMIUM') or shutil.which('chromium')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='no Chromium: set CHROMIUM, or install one'),
]
WIDE, PHONE = dict(width=1400, height=1000), dict(width=390, height=844)
TEXT = 'a red circle moves left'
VIDEOS = "[...document.querySelectorAll('#results video')]"
# Keeps the time at which each player began.
NOTE_FIRST = """document.addEventListener('playing', ({target}) => {
    target.dataset.first ??= target.currentTime;
}, true)"""
SEEN = """video => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    return [canvas.width, canvas.height,
        [...context.getImageData(0, 0, canvas.width, canvas.height).data]];
}"""


@pytest.fixture(scope='module')
def address(serving, film_service):
    """Address of the page over windows of films."""
    with serving(film_service) as address:
        yield address


@pytest.fixture(scope='module')
def browser():
    playwright = pytest.importorskip('playwright.sync_api')
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens an address in a window; no script may fail there."""
    pages, errors = [], []

    def open_in(address, viewport=WIDE, **options):
        page = browser.new_page(viewport=viewport, **options)
        page.set_default_timeout(60_000)
        page.add_init_script(NOTE_FIRST)
        page.on('pageerror', lambda error: errors.append(error))
        pages.append(page)
        page.goto(address)
        page.wait_for_selector('#sentence textarea, #sentence input')
        return page

    yield open_in
    for page in pages:
        page.close()
    assert not errors


@pytest.fixture
def search(open_page, address):
    """A function that opens the page and searches."""

    def search_in(viewport=WIDE, **options):
        page = open_page(address, viewport, **options)
        page.fill('#sentence textarea, #sentence input', TEXT)
        page.keyboard.press('Enter')
        page.wait_for_function(f'{VIDEOS}.length == 2 && {VIDEOS}.every(v => v.readyState > 1)')
        return page

    return search_in


def wait_until(page, video, condition):
    page.wait_for_function(f'v => {condition}', arg=video)


def number_of(video):
    """Number of the frame that a player shows."""
    width, height, values = video.evaluate(SEEN)
    image = np.array(values, np.uint8).reshape(height, width, 4)[..., :3]
    return numbered_clips.read(image)[1]


def test_moments_play_from_their_starts_to_their_ends(search):
    page = search()
    moments = page.query_selector_all('.hit[aria-current="true"]')
    for video, moment in zip(page.query_selector_all('#results video'), moments, strict=True):
        start, end = (float(moment.get_attribute(f'data-{name}')) for name in ('start', 'end'))
        wait_until(page, video, 'v.currentTime > 0 && v.paused')
        assert float(video.get_attribute('data-first')) == pytest.approx(start, abs=0.2)
        assert video.evaluate('v => v.currentTime') == pytest.approx(end, abs=0.15)


def test_a_moment_shows_its_own_frames(search):
    page = search(reduced_motion='reduce')
    for video in page.query_selector_all('#results video'):
        wait_until(page, video, '!v.seeking && v.currentTime >= v.dataset.start - 0.05')
        assert video.evaluate('v => v.paused')
        start = float(video.get_attribute('data-start'))
        assert number_of(video) == pytest.approx(10 * start, abs=1)


@pytest.mark.parametrize('film', ['film.mp4', 'old.avi'])
def test_bars_of_the_time_line_jump(search, film):
    page = search(reduced_motion='reduce')
    card = page.query_selector(f'article[aria-label="{film}"]')
    video = card.query_selector('video')
    bar = card.query_selector('.bar[data-start="4.000"]')
    bar.click()
    wait_until(page, video, 'v.currentTime >= 4 && v.paused')
    assert video.evaluate('v => v.currentTime') == pytest.approx(6, abs=0.15)
    assert number_of(video) == pytest.approx(60 if film == 'old.avi' else 59, abs=2)
    assert bar.get_attribute('aria-current') == 'true'
    box, line = bar.bounding_box(), card.query_selector('.timeline').bounding_box()
    middle = (box['x'] + box['width'] / 2 - line['x']) / line['width']
    assert middle == pytest.approx(5 / (8 if film == 'old.avi' else 6), abs=0.1)


def test_keys(search):
    page = search()
    reached = set()
    for _ in range(40):
        page.keyboard.press('Tab')
        reached.add(
            page.evaluate(
                '(({className, dataset}) => className + dataset.src)(document.activeElement)'
            )
        )
    hits = len(page.query_selector_all('.hit'))
    assert len([each for each in reached if each.startswith('hit')]) == hits
    assert len([each for each in reached if each.startswith('bar')]) == 2  # one a time line
    page.focus('.bar[tabindex="0"]')
    before = float(page.evaluate('document.activeElement.dataset.start'))
    page.keyboard.press('ArrowRight' if before == 0 else 'ArrowLeft')
    after = float(page.evaluate('document.activeElement.dataset.start'))
    assert abs(after - before) == 1
    outline = 'getComputedStyle(document.activeElement).outlineStyle'
    assert page.evaluate(outline) == 'solid'
    page.keyboard.press('Enter')
    video = page.query_selector(f'video[data-start="{after:.3f}"]')
    wait_until(page, video, f'v.currentTime >= {after}')


def test_a_search_has_an_address(search, open_page, address):
    page = search()
    assert page.url == f'{address}/?q=a+red+circle+moves+left'
    other = open_page(page.url)
    other.wait_for_selector('#results video')
    assert other.input_value('#sentence textarea, #sentence input') == TEXT
    assert other.inner_text('#results') == page.inner_text('#results')
    page.go_back()
    page.wait_for_function(f'{VIDEOS}.length == 0')
    assert page.url == f'{address}/'


def test_an_image_is_a_query(search, address, tmp_path):
    image = tmp_path / 'image.png'
    Image.fromarray(numbered_clips.draw(30)).save(image)
    page = search()
    generator = "document.querySelector('#results').innerText.includes('generator')"
    assert page.evaluate(generator)
    page.click('text=Search by an image or a video of your own')
    page.set_input_files('#image input[type=file]', str(image))
    page.wait_for_function(f'{VIDEOS}.length == 2 && !{generator}')  # no generator reads an image
    page.wait_for_url(f'{address}/')


def test_pictures_and_captions_come_when_they_are_asked_for(search):
    page = search()
    assert page.inner_text('#details') == ''
    page.click('#why')
    page.wait_for_selector('#attention img')
    page.wait_for_selector('#diffusion img')
    page.click('text=Sentences to choose captions from')
    page.fill('#sentences textarea', 'a cat sits')
    page.click('#describe')
    page.wait_for_selector('#captions')
    assert page.query_selector('#attention') is None
    assert 'a cat sits' in page.inner_text('#captions')
    page.click('#like')
    page.wait_for_function("!document.querySelector('#captions')")


@pytest.mark.parametrize('viewport', [WIDE, PHONE], ids=['wide', 'phone'])
def test_nothing_is_cut_off_or_jumps(search, open_page, address, viewport):
    empty = open_page(address, viewport)
    assert empty.query_selector('#chosen') is None
    page = search(viewport)
    assert page.evaluate('document.documentElement.scrollWidth') == viewport['width']
    heights = "[...document.querySelectorAll('.card')].map(c => c.offsetHeight)"
    before = page.evaluate(heights)
    assert len(set(before)) == 1
    page.click('.hit >> nth=1')
    assert page.evaluate(heights) == before
    places = [card.bounding_box() for card in page.query_selector_all('.card')]
    assert (places[0]['y'] == places[1]['y']) == (viewport is WIDE)
    assert all(place['x'] + place['width'] <= viewport['width'] for place in places)
