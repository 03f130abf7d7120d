"""CLIP4Clip's tightTransf, pair by pair."""

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models import ContrastiveLoss
from diffusionret_mm.structures import VideoFeatures

TINY = dict(type='PairTransformer', width=64, num_layers=2, max_frames=4, position_std=1.0)


@pytest.fixture
def similarity():
    torch.manual_seed(0)
    return MODELS.build(TINY).eval()


def test_equals_one_pair_after_the_other_without_its_padding(similarity, features):
    texts, videos = features()
    expected = torch.empty(7, 5)
    encoder = similarity.encoder
    for row, text in enumerate(texts.pooled):
        for column, (frames, mask) in enumerate(zip(videos.frames, videos.mask, strict=True)):
            tokens = torch.cat([text[None], frames[mask]])
            tokens = tokens + encoder.position_embedding[: len(tokens)]
            first = similarity.norm(encoder.transformer(tokens[None])[0, 0])
            hidden = similarity.dense(first)
            hidden = hidden * torch.sigmoid(1.702 * hidden)
            expected[row, column] = similarity.logit(hidden)
    torch.testing.assert_close(similarity(texts, videos), expected)


def test_blocks_change_nothing(similarity, features):
    texts, videos = features(num_texts=40, num_videos=9)
    whole = similarity(texts, videos)
    similarity.block_bytes = 1  # a pair each
    torch.testing.assert_close(similarity(texts, videos), whole)
    with torch.no_grad():
        torch.testing.assert_close(similarity.score_gallery(texts, videos), whole)


def test_gradients_through_blocks_that_are_computed_again(similarity, features):
    texts, videos = features()
    similarity.train()
    gradients = []
    for block_bytes in (1 << 30, 1):
        similarity.block_bytes = block_bytes
        similarity.dropout.p = 0.0
        similarity.zero_grad()
        similarity(texts, videos).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in similarity.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_the_published_number_of_parameters():
    assert sum(p.numel() for p in MODELS.build(dict(type='PairTransformer')).parameters()) == (
        12_913_153
    )


def test_the_logit_has_no_scale():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = torch.arange(2)
    losses = ContrastiveLoss(scaled=False)(logits, torch.tensor(100.0), rows, rows)
    expected = -logits.log_softmax(dim=1).diagonal().mean() / 2
    torch.testing.assert_close(losses['loss_t2v'], expected)


def test_more_frames_than_positions_are_an_error(similarity, features):
    texts, videos = features()
    longer = VideoFeatures(
        frames=videos.frames.repeat(1, 2, 1), mask=torch.ones(5, 8, dtype=torch.bool)
    )
    with pytest.raises(ValueError, match='9 frames per video, .* 5 positions; raise max_frames'):
        similarity(texts, longer)
