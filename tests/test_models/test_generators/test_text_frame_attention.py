import pytest
import torch
from mmaction.registry import MODELS


def build(**kwargs):
    return MODELS.build(dict(type='TextFrameAttentionHead', **kwargs))


def test_equals_the_definition_for_all_pairs(features):
    texts, videos = features(num_texts=3, num_videos=2)
    pooled = build(temperature=2.0)(texts.pooled[:, None], videos.frames, videos.mask)
    for i in range(3):
        for j in range(2):
            frames = videos.frames[j][videos.mask[j]]
            weights = (frames @ texts.pooled[i] / 2.0).softmax(0)
            torch.testing.assert_close(pooled[i, j], weights @ frames)


def test_published_masking_takes_mass_away(features):
    texts, videos = features(num_texts=5)
    weights = {
        rule: build(masking=rule).attention(texts.pooled[:5], videos.frames, videos.mask).sum(-1)
        for rule in ('before_softmax', 'after_softmax')
    }
    torch.testing.assert_close(weights['before_softmax'], torch.ones(5))
    padded = ~videos.mask.all(1)
    assert padded.any()
    assert (weights['after_softmax'][padded] < 1 - 1e-6).any()


def test_bad_options():
    with pytest.raises(ValueError, match='masking must be one of'):
        build(masking='never')
    with pytest.raises(ValueError, match='temperature must be positive'):
        build(temperature=0.0)
