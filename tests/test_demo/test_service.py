"""What the page asks for, without the page."""

from pathlib import Path

import pytest

from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.service import MAX_CHARACTERS, MAX_SENTENCES

TEXT = 'a red circle moves left'


def test_videos_of_a_sentence(service):
    found = service.find(TEXT)
    hits = service.inferencer.search(TEXT, service.gallery).hits
    assert [video.name for video in found] == [Path(hit.video).name for hit in hits]
    assert [video.generator for video in found] == [hit.generator for hit in hits]
    assert [service.file_of(video.id) for video in found] == [hit.video for hit in hits]


def test_videos_like_a_video(service):
    span = service.find(TEXT)[0].id
    found = service.like(span)
    assert len(found) == 4
    assert span not in [video.id for video in found]
    upload = service.like_upload(service.file_of(span))
    assert upload[0].id == span


def test_sentences_of_a_video(service):
    span = service.find(TEXT)[0].id
    assert {hit.item for hit in service.describe(span, '').hits} == {'a cat sits', 'it rains'}
    own = service.describe(span, 'one thing\n\n  another thing ').hits
    assert {hit.item for hit in own} == {'one thing', 'another thing'}


def test_pictures(service):
    span = service.find(TEXT)[2].id
    attention, diffusion = service.attention(TEXT, span), service.diffusion(TEXT, span)
    assert any(TEXT in text.get_text() for text in attention.findobj(match=_is_text))
    shown = [text.get_text() for text in diffusion.findobj(match=_is_text)]
    assert any('3 after re-ranking' in text for text in shown)


def _is_text(artist):
    return hasattr(artist, 'get_text')


def test_what_is_refused(service, tmp_path):
    span = service.find(TEXT)[0].id
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
        service.like_upload(str(text))
    Path(service.file_of(span)).unlink()
    with pytest.raises(RequestError, match='is gone'):
        service.attention(TEXT, span)


def test_a_model_without_diffusion(new_inferencer, tiny_model_cfg, clips, tmp_path, service):
    inferencer = new_inferencer(model=dict(tiny_model_cfg, stage='discrimination'))
    gallery = inferencer.index(clips(2), tmp_path / 'other')
    plain = type(service)(inferencer, gallery)
    span = plain.find(TEXT)[0].id
    with pytest.raises(RequestError, match='no diffusion'):
        plain.diffusion(TEXT, span)
    assert plain.attention(TEXT, span).axes
    with pytest.raises(RequestError, match='Give some sentences'):
        plain.describe(span, ' \n')
