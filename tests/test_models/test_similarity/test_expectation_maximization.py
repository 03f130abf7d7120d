"""EMCL-Net's similarity against its formulas (specified block by block) in float64."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.features import scoring


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


def test_bases_collapse_to_two_whatever_their_signs(features):
    torch.manual_seed(3)
    similarity = MODELS.build(dict(type='EMSimilarity')).double()
    similarity.bases.sign_()
    texts, videos = (part.to(torch.float64) for part in features())
    _, table = scores_by_loop_of(similarity, texts, videos)
    assert len(table[0].round(decimals=9).unique()) == 2


def scores_by_loop_of(similarity, texts, videos):
    pooled = similarity.attention(texts.pooled[:, None], videos.frames, videos.mask)
    return rebuild_by_loop(torch.cat([pooled.flatten(0, 1), texts.pooled]), similarity.bases, 9)


def test_the_reconstruction_adds_nothing_to_the_gradient(similarity):
    rows = torch.randn(6, 8, requires_grad=True)
    weights = torch.randn(6, 8)
    (similarity.eval()._rebuild(rows) * weights).sum().backward()
    assert torch.equal(rows.grad, weights)


def test_a_gallery_is_scored_in_the_published_blocks(similarity, features):
    """The chunk rule: blocks of 32 x 32 in order, the last ones ragged."""
    texts, videos = features(num_texts=40, num_videos=35)
    similarity.eval()
    scores = similarity.score_gallery(texts, videos)
    for rows in (slice(0, 32), slice(32, 40)):
        for columns in (slice(0, 32), slice(32, 35)):
            expected = similarity(texts[rows], videos[columns])
            torch.testing.assert_close(scores[rows, columns], expected)
    assert not torch.allclose(scores, similarity(texts, videos), atol=1e-6)


@pytest.mark.parametrize('world_size', [2, 3])
def test_processes_share_whole_blocks(world_size, features, monkeypatch):
    """So their number changes no score."""
    torch.manual_seed(0)
    similarity = MODELS.build(dict(type='EMSimilarity', block_rows=4)).eval()
    texts, videos = features(num_texts=11, num_videos=6)
    parts = []
    monkeypatch.setattr(scoring, 'concat_ranks', lambda part: parts.extend(part))
    for rank in range(world_size):
        monkeypatch.setattr(scoring, 'get_dist_info', lambda rank=rank: (rank, world_size))
        scoring.over_ranks(11, lambda rows: similarity.score_gallery(texts[rows], videos), block=4)
    assert torch.equal(torch.cat(parts), similarity.score_gallery(texts, videos))


def test_the_bases_are_in_the_checkpoint(similarity):
    other = MODELS.build(dict(type='EMSimilarity', num_bases=5))
    other.load_state_dict(similarity.state_dict())
    assert torch.equal(other.bases, similarity.bases)


def test_errors():
    with pytest.raises(ValueError, match='block_rows must be at least 1; got 0'):
        MODELS.build(dict(type='EMSimilarity', block_rows=0))
