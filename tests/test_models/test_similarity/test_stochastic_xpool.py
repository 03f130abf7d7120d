import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

WIDTH = 64


def build(**options):
    torch.manual_seed(0)
    options = dict(width=WIDTH, num_frames=4, num_samples=6, **options)
    model = MODELS.build(dict(type='StochasticXPool', **options)).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


@torch.no_grad()
@pytest.mark.parametrize('prior', [dict(), dict(prior='normal', prior_std=0.5)])
def test_equals_the_best_of_explicit_points(prior, features):
    model = build(**prior)
    texts, videos = features()
    scores = model(texts, videos)
    pooled = model.pool(model.prepare_texts(texts).queries, model.prepare_videos(videos))
    for row, text in enumerate(texts.pooled):
        for column, (frames, mask) in enumerate(zip(videos.frames, videos.mask, strict=True)):
            cosines = F.cosine_similarity(text, frames, dim=1) * mask
            points = text + model.draws * (model.radius_linear(cosines)).exp()
            expected = F.cosine_similarity(points, pooled[column, row], dim=1).max()
            torch.testing.assert_close(scores[row, column], expected, atol=1e-5, rtol=0)


def test_draws_come_from_the_seed_and_are_not_saved():
    first, second, other = build(seed=1), build(seed=1), build(seed=2)
    assert torch.equal(first.draws, second.draws)
    assert not torch.equal(first.draws, other.draws)
    assert 'draws' not in first.state_dict()
    assert (first.draws >= 0).all()
    assert first.draws.max() < 1


def test_errors_say_what_to_do(features):
    with pytest.raises(ValueError, match='prior must be one of'):
        build(prior='cauchy')
    with pytest.raises(ValueError, match='4 frames and the model has weights for 12; set num'):
        MODELS.build(dict(type='StochasticXPool', width=WIDTH))(*features())
