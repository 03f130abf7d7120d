import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F


def build(padding):
    torch.manual_seed(1)
    return MODELS.build(dict(type='WeightedTokenInteraction', width=64, padding=padding))


def brute_force(module, texts, videos, i, j, padding):
    """The definition for one pair, from Python loops."""
    words = texts.words[i][texts.mask[i]]
    frames = videos.frames[j][videos.mask[j]]
    cosines = torch.stack([F.cosine_similarity(word, frames, dim=-1) for word in words])
    zero = padding == 'zero'
    best_frame = cosines.amax(1)
    best_word = cosines.amax(0)
    if zero and not videos.mask[j].all():
        best_frame = best_frame.clamp(min=0)
    if zero and not texts.mask[i].all():
        best_word = best_word.clamp(min=0)
    a = module.word_weight(words).squeeze(-1).softmax(0)
    b = module.frame_weight(frames).squeeze(-1).softmax(0)
    return ((a * best_frame).sum() + (b * best_word).sum()) / 2


@pytest.mark.parametrize('padding', ['excluded', 'zero'])
def test_equals_the_definition(features, padding):
    texts, videos = features(num_texts=4, num_videos=3)
    module = build(padding)
    scores = module(texts, videos)
    expected = torch.stack(
        [
            torch.stack([brute_force(module, texts, videos, i, j, padding) for j in range(3)])
            for i in range(4)
        ]
    )
    torch.testing.assert_close(scores, expected)


def test_excluded_padding_changes_nothing(features):
    texts, videos = features()
    module = build('excluded')
    noisy = videos.frames.masked_fill(~videos.mask[..., None], 9.0)
    torch.testing.assert_close(
        module(texts, type(videos)(noisy, videos.mask)), module(texts, videos)
    )


def test_the_two_padding_rules_differ_on_negative_cosines(features):
    texts, videos = features()
    texts = type(texts)(-videos.frames[:1, :1].expand_as(texts.words), texts.mask, texts.pooled)
    assert not torch.allclose(build('zero')(texts, videos), build('excluded')(texts, videos))


def test_weights_sum_to_one_over_real_tokens(features):
    texts, videos = features()
    module = build('excluded')
    for weights, mask in (
        (module.word_weights(texts), texts.mask),
        (module.frame_weights(videos), videos.mask),
    ):
        assert (weights[~mask] == 0).all()
        torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))


def test_unknown_padding_rule():
    with pytest.raises(ValueError, match='padding must be one of'):
        build('ignored')


def test_known_frame_weights_give_the_same_scores(features):
    texts, videos = features()
    head = build('excluded')
    weights = head.frame_weights(videos).detach()
    known = head.score_gallery(texts, videos, weights)
    torch.testing.assert_close(known, head.score_gallery(texts, videos))
    swapped = head.score_gallery(texts, videos, weights.flip(0))
    assert not torch.allclose(known, swapped)
