"""EMCL-Net's similarity against its formulas (specified block by block) in float64."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F


@pytest.fixture
def similarity():
    torch.manual_seed(0)
    return MODELS.build(dict(type='EMSimilarity', num_bases=5, num_iterations=4))


def rebuild_by_loop(rows, bases, iterations=4, beta=3.0):
    table = bases.repeat(len(rows), 1)
    for _ in range(iterations):
        shares = torch.stack(
            [torch.softmax(table.t() @ rows[:, column], dim=0) for column in range(rows.shape[1])]
        )
        for base in range(shares.shape[1]):
            shares[:, base] /= 1e-6 + shares[:, base].sum()
        table = rows @ shares
        for base in range(shares.shape[1]):
            table[:, base] /= 1e-6 + table[:, base].norm()
    return rows + beta * table @ shares.t(), table


def scores_by_loop(texts, videos, bases):
    pairs = []
    for text in texts.pooled:
        for frames, mask in zip(videos.frames, videos.mask, strict=True):
            weights = torch.softmax(frames @ text / 3.0, dim=0) * mask
            pairs.append((weights[:, None] * frames).sum(dim=0))
    rows, table = rebuild_by_loop(torch.cat([torch.stack(pairs), texts.pooled]), bases)
    count = len(videos)
    scores = torch.empty(len(texts), count, dtype=rows.dtype)
    for row in range(len(texts)):
        for column in range(count):
            video, text = rows[row * count + column], rows[len(texts) * count + row]
            scores[row, column] = F.cosine_similarity(text, video, dim=0)
    return scores, table


def test_equals_loop(similarity, features):
    texts, videos = (part.to(torch.float64) for part in features())
    similarity = similarity.double().eval()
    expected, _ = scores_by_loop(texts, videos, similarity.bases)
    before = similarity.bases.clone()
    torch.testing.assert_close(similarity(texts, videos), expected)
    assert torch.equal(similarity.bases, before)


def test_bases_start_at_one_and_follow_training(similarity, features):
    similarity = similarity.double()
    assert torch.allclose(similarity.bases.abs(), torch.ones(1, 5).double(), atol=1e-3)
    texts, videos = (part.to(torch.float64) for part in features())
    before = similarity.bases.clone()
    _, table = scores_by_loop(texts, videos, before)
    similarity.train()(texts, videos)
    expected = 0.9 * before + 0.1 * table.mean(dim=0, keepdim=True)
    torch.testing.assert_close(similarity.bases, expected)


def test_gradients_flow_through_the_rows(similarity, features):
    texts, videos = features()
    videos.frames.requires_grad_()
    similarity(texts, videos).sum().backward()
    assert videos.frames.grad.abs().sum() > 0
