"""What the page asks for, without the page."""

from pathlib import Path

import numbered_clips
import numpy as np
import pytest
from PIL import Image

from diffusionret_mm.demo import service as service_module
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.service import MAX_CHARACTERS, MAX_SENTENCES, TOP_K, DemoService

TEXT = 'a red circle moves left'


@pytest.fixture
def span(service):
    """Id of the span that is found first."""
    return service.find(TEXT).videos[0].hits[0].span.id


@pytest.mark.parametrize('name', ['service', 'film_service'])
def test_moments_are_those_of_a_search(request, name):
    service = request.getfixturevalue(name)
    found = [hit for video in service.find(TEXT).videos for hit in video.hits]
    expected = service.inferencer.search(TEXT, service.gallery, TOP_K).hits
    assert sorted(found, key=lambda hit: hit.rank) == expected


def test_all_scored_spans_of_a_video(film_service):
    found = film_service.find(TEXT).videos
    spans = {video.name: [(span.start, span.end) for span in video.spans] for video in found}
    film = [(float(n), float(n + 2)) for n in range(5)]
    assert spans == {'film.mp4': film, 'old.avi': [*film, (5.0, 7.0), (6.0, 8.0)]}


def test_videos_like_a_video(service, span):
    found = service.like(span)
    assert len(found) == 4
    assert span not in [video.hits[0].span.id for video in found]
    upload = service.like_video(service.span_of(span).path)
    assert upload[0].hits[0].span.id == span


def test_moments_like_a_moment_do_not_overlap_it(film_service):
    chosen = film_service.find(TEXT).videos[0].spans[2]
    found = film_service.like(chosen.span.id)
    same = next(video for video in found if video.hits[0].video == chosen.video)
    assert [span.start for span in same.spans][:2] == [0.0, 4.0]


def test_videos_like_an_image(film_service, tmp_path):
    image = tmp_path / 'image.png'
    Image.fromarray(numbered_clips.draw(30)).save(image)
    found = film_service.like_image(str(image))
    expected = film_service.inferencer.search_image(image, film_service.gallery, TOP_K).hits
    hits = [hit for video in found for hit in video.hits]
    assert sorted(hits, key=lambda hit: hit.rank) == expected


def test_sentences_of_a_video(service, span):
    assert {hit.item for hit in service.describe(span, '').hits} == {'a cat sits', 'it rains'}
    own = service.describe(span, 'one thing\n\n  another thing ').hits
    assert {hit.item for hit in own} == {'one thing', 'another thing'}


def test_pictures(service):
    span = service.find(TEXT).videos[2].hits[0].span.id
    attention, diffusion = service.attention(TEXT, span), service.diffusion(TEXT, span)
    assert any(TEXT in text.get_text() for text in attention.findobj(match=_is_text))
    shown = [text.get_text() for text in diffusion.findobj(match=_is_text)]
    assert any('3 after re-ranking' in text for text in shown)


def test_a_picture_of_a_moment_has_its_frames(film_service, monkeypatch):
    drawn = []
    monkeypatch.setattr(service_module, 'draw_attention', lambda *parts: drawn.append(parts))
    span = film_service.find(TEXT).videos[0].spans[1].span
    film_service.attention(TEXT, span.id)
    ((_, frames, weights, _),) = drawn
    np.testing.assert_array_equal(frames, film_service.reader.frames(span))
    assert len(frames) == len(weights)


def _is_text(artist):
    return hasattr(artist, 'get_text')


def test_what_is_refused(service, span, tmp_path):
    for text in ('', '   '):
        with pytest.raises(RequestError, match='Type a sentence'):
            service.find(text)
    with pytest.raises(RequestError, match=f'may have {MAX_CHARACTERS} characters'):
        service.find('a' * (MAX_CHARACTERS + 1))
    with pytest.raises(RequestError, match='Give 1,000 sentences at most'):
        service.describe(span, 'a cat\n' * (MAX_SENTENCES + 1))
    for missing in ('', '0' * 32, "' OR 'a' = 'a"):
        with pytest.raises(RequestError, match='Choose a video of the gallery'):
            service.like(missing)
    text = tmp_path / 'text.mp4'
    text.write_text('no video at all')
    with pytest.raises(RequestError, match='cannot be read as a video'):
        service.like_video(str(text))


def test_a_model_without_diffusion(new_inferencer, tiny_model_cfg, clips, tmp_path):
    inferencer = new_inferencer(model=dict(tiny_model_cfg, stage='discrimination'))
    plain = DemoService(inferencer, inferencer.index(clips(2), tmp_path / 'other'))
    hit = plain.find(TEXT).videos[0].hits[0]
    with pytest.raises(RequestError, match='no diffusion'):
        plain.diffusion(TEXT, hit.span.id)
    assert plain.attention(TEXT, hit.span.id).axes
    with pytest.raises(RequestError, match='Give some sentences'):
        plain.describe(hit.span.id, ' \n')
    Path(hit.video).unlink()
    with pytest.raises(RequestError, match='is gone'):
        plain.attention(TEXT, hit.span.id)
