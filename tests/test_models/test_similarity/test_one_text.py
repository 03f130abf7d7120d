import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.similarity import one_text
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@pytest.fixture(params=['excluded', 'zero'])
def similarity(request):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='WeightedTokenInteraction', width=64, padding=request.param)
    ).eval()


def draw(num_videos=21, words=7, frames=5, padded_words=2, negative=False):
    """One text, and videos with all frames, with padding at the end or between, and with none."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, words, 64, generator=generator)
    text_mask = torch.arange(words)[None] < words - padded_words
    pictures = torch.randn(num_videos, frames, 64, generator=generator)
    mask = torch.rand(num_videos, frames, generator=generator) < 0.7
    mask[::3] = True
    mask[4] = False
    if negative:
        tokens, pictures = tokens.abs(), -pictures.abs()
    return TextFeatures(tokens, text_mask, tokens[:, 0]), VideoFeatures(pictures, mask)


@torch.no_grad()
@pytest.mark.parametrize('negative', [False, True], ids=['any', 'negative'])
@pytest.mark.parametrize('padded_words', [0, 2])
@pytest.mark.parametrize('block', [1, 4, 64])
def test_equals_the_plain_scores(similarity, monkeypatch, block, padded_words, negative):
    monkeypatch.setattr(one_text, 'VIDEOS_AT_A_TIME', block)
    text, videos = draw(padded_words=padded_words, negative=negative)
    scores = similarity.score_gallery(text, videos, similarity.frame_weights(videos))
    expected = similarity(text, videos)
    expected[:, 4] = 0  # the video without any frame
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-6)


@torch.no_grad()
def test_padding_is_not_read(similarity):
    text, videos = draw()
    weights = similarity.frame_weights(videos)
    noisy = VideoFeatures(videos.frames.masked_fill(~videos.mask[..., None], 9.0), videos.mask)
    scores = similarity.score_gallery(text, noisy, weights)
    assert torch.equal(scores, similarity.score_gallery(text, videos, weights))


@torch.no_grad()
def test_a_text_without_words_scores_zero(similarity):
    text, videos = draw(padded_words=7)
    scores = similarity.score_gallery(text, videos, similarity.frame_weights(videos))
    assert scores.shape == (1, 21)
    assert not scores.any()


@torch.no_grad()
def test_half_precision_and_no_videos(similarity):
    text, videos = draw()
    weights = similarity.frame_weights(videos)
    half = VideoFeatures(videos.frames.half(), videos.mask)
    expected = similarity.score_gallery(text, videos, weights)
    scores = similarity.score_gallery(text, half, weights)
    torch.testing.assert_close(scores, expected, rtol=0, atol=1e-3)
    assert scores.dtype == torch.float32
    assert similarity.score_gallery(text, videos[:0], weights[:0]).shape == (1, 0)


def test_inside_inference_mode_on_several_cores(similarity, monkeypatch):
    monkeypatch.setattr(one_text, 'VIDEOS_AT_A_TIME', 4)
    text, videos = draw()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            weights = similarity.frame_weights(videos)
            scores = similarity.score_gallery(text, videos, weights)
            blocks = similarity.score_gallery(text, videos)
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(scores, blocks, rtol=0, atol=1e-6)
