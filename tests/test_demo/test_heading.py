"""What the page says about itself."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from diffusionret_mm.demo.heading import heading, length, model_name
from diffusionret_mm.passport import read_passport


def test_videos_length_and_model(service, film_service):
    text = heading(service.inferencer, service.gallery)
    assert '<h1>Search 5 videos, 4 seconds</h1>' in text
    assert '<p class="note">DiffusionRet</p>' in text
    text = heading(film_service.inferencer, film_service.gallery)
    assert '<h1>Search 2 videos, 14 seconds</h1>' in text  # each second once


def test_an_unknown_length_is_not_told(service):
    gallery = MagicMock(__len__=lambda _: 1, latest=lambda: SimpleNamespace(seconds=0.0))
    assert '<h1>Search 1 video</h1>' in heading(service.inferencer, gallery)


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(1, '1 second'), (3600, '1 hour'), (7_200_000, '2,000 hours'), (100, '1.7 minutes')],
)
def test_lengths(seconds, text):
    assert length(seconds) == text


@pytest.mark.parametrize(('tag', 'end'), [(None, ''), ('openai', ' (openai)')])
def test_the_encoder_is_named(tag, end):
    backbone = SimpleNamespace(passport=read_passport('ViT-B-32', tag))
    inferencer = SimpleNamespace(model=SimpleNamespace(backbone=backbone))
    assert model_name(inferencer) == f'SimpleNamespace with ViT-B-32{end}'
