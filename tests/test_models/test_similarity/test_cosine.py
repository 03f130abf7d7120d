import torch
from mmaction.registry import MODELS
from torch.nn import functional as F


def test_equals_loop(features):
    texts, videos = features()
    scores = MODELS.build(dict(type='CosineSimilarity'))(texts, videos)
    for row, text in enumerate(texts.pooled):
        for column, (frames, mask) in enumerate(zip(videos.frames, videos.mask, strict=True)):
            mean = F.normalize(frames[mask], dim=-1).mean(dim=0)
            expected = F.cosine_similarity(text, mean, dim=0)
            torch.testing.assert_close(scores[row, column], expected)


def test_a_video_without_frames_scores_zero(features):
    texts, videos = features()
    videos.mask[2] = False
    scores = MODELS.build(dict(type='CosineSimilarity'))(texts, videos)
    assert (scores[:, 2] == 0).all()
    assert scores.isfinite().all()
