import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.structures import TextFeatures, VideoFeatures


def cosines_of(texts, videos, i, j):
    words, frames = texts.words[i][texts.mask[i]], videos.frames[j][videos.mask[j]]
    return F.normalize(words, dim=-1) @ F.normalize(frames, dim=-1).t()


def test_a_score_is_the_mean_of_the_best_matches_of_words_and_of_frames(features):
    texts, videos = features(num_texts=4, num_videos=3)
    scores = MODELS.build(dict(type='TokenInteraction'))(texts, videos)
    for i in range(4):
        for j in range(3):
            cosines = cosines_of(texts, videos, i, j)
            expected = (cosines.amax(1).mean() + cosines.amax(0).mean()) / 2
            torch.testing.assert_close(scores[i, j], expected)


def test_it_has_nothing_to_learn_and_weighs_real_tokens_equally(features):
    texts, videos = features()
    module = MODELS.build(dict(type='TokenInteraction'))
    assert module.state_dict() == {}
    counts = texts.mask.sum(1, keepdim=True)
    torch.testing.assert_close(module.word_weights(texts), texts.mask / counts)
    counts = videos.mask.sum(1, keepdim=True)
    torch.testing.assert_close(module.frame_weights(videos), videos.mask / counts)


def test_a_word_finds_its_frame_wherever_it_is():
    frames = torch.eye(4)[None].repeat(2, 1, 1)
    frames[1, 2] = frames[1, 1]  # the second video lacks the third direction
    mask = torch.ones(2, 4, dtype=torch.bool)
    words = torch.eye(4)[[2]][None]
    texts = TextFeatures(words=words, mask=mask[:1, :1], pooled=words[:, 0])
    scores = MODELS.build(dict(type='TokenInteraction'))(texts, VideoFeatures(frames, mask))
    torch.testing.assert_close(scores, torch.tensor([[(1 + 1 / 4) / 2, 0.0]]))
