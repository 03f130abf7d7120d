import math

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.similarity.xpool import pair_cosines
from diffusionret_mm.structures import TextFeatures, VideoFeatures

WIDTH = 64


def build(**options):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='XPool', width=WIDTH, **options)).eval()
    for parameter in model.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return model


def plain_pool(model, text, frames):
    """The pooled video of one pair, as the formulas of the docstring say."""
    frames = model.norm1(frames)
    logits = model.k_proj(frames) @ model.q_proj(model.norm1(text)) / math.sqrt(WIDTH)
    attended = model.norm2(model.out_proj(logits.softmax(dim=0) @ model.v_proj(frames)))
    return model.norm3(attended + model.linear(attended))


@torch.no_grad()
def test_equals_a_loop_over_pairs_and_real_frames(features):
    model = build()
    texts, videos = features()
    scores = model(texts, videos)
    for row, text in enumerate(texts.pooled):
        for column, (frames, mask) in enumerate(zip(videos.frames, videos.mask, strict=True)):
            expected = F.cosine_similarity(text, plain_pool(model, text, frames[mask]), dim=0)
            torch.testing.assert_close(scores[row, column], expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_videos_chosen_for_each_text_are_pooled_like_all(features):
    model = build()
    texts, videos = features()
    prepared = model.prepare_texts(texts), model.prepare_videos(videos)
    pooled = model.pool(prepared[0].queries, prepared[1])
    chosen = torch.tensor([[0, 3], [4, 1], [2, 2], [1, 0], [0, 4], [3, 1], [2, 0]])
    some = model.pool(prepared[0].queries[:, None, None], prepared[1][chosen]).squeeze(2)
    torch.testing.assert_close(some, pooled[chosen, torch.arange(7)[:, None]])


@torch.no_grad()
@pytest.mark.parametrize('name', ['XPool', 'StochasticXPool'])
@pytest.mark.parametrize(('num_texts', 'num_videos'), [(70, 41), (1, 5), (0, 3), (3, 0)])
def test_blocks_change_nothing(name, num_texts, num_videos, features):
    torch.manual_seed(0)
    options = dict(num_frames=4) if name == 'StochasticXPool' else {}
    model = MODELS.build(dict(type=name, width=WIDTH, **options)).eval()
    texts, videos = features(num_texts=num_texts, num_videos=num_videos)
    scores = model(texts, videos)
    assert scores.shape == (num_texts, num_videos)
    model.block_bytes = 10 * model.live_tensors * 4 * WIDTH
    torch.testing.assert_close(model(texts, videos), scores, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_video_without_frames_has_a_finite_score(features):
    texts, videos = features()
    videos.mask[2] = False
    assert build()(texts, videos).isfinite().all()


def test_the_default_is_512_wide_with_published_parameters():
    model = MODELS.build(dict(type='XPool'))
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_316_352
    assert torch.equal(model.k_proj.weight, torch.eye(512))
    assert not model.linear.bias.any()


def test_every_parameter_is_trained(features):
    model = build().train()
    model(*features()).square().sum().backward()
    for name, parameter in model.named_parameters():
        # The softmax does not see a shift of all keys.
        assert parameter.grad.abs().sum() > 0 or name == 'k_proj.bias', name


@torch.no_grad()
def test_no_text_times_video_times_width_tensor_is_held(monkeypatch):
    """300 x 300 pairs of width 512 would be 184 MB."""
    model = MODELS.build(dict(type='XPool')).eval()
    sizes = []
    pool = model.pool
    monkeypatch.setattr(
        model, 'pool', lambda *args: sizes.append(pool(*args).nbytes) or pool(*args)
    )
    generator = torch.Generator().manual_seed(0)
    texts = TextFeatures(
        words=torch.zeros(300, 1, 512),
        mask=torch.ones(300, 1, dtype=torch.bool),
        pooled=torch.randn(300, 512, generator=generator),
    )
    videos = VideoFeatures(
        frames=torch.randn(300, 2, 512, generator=generator),
        mask=torch.ones(300, 2, dtype=torch.bool),
    )
    model(texts, videos)
    assert max(sizes) * model.live_tensors <= model.block_bytes


def test_pair_cosines_of_one_text_for_all_videos_and_of_one_a_pair():
    torch.manual_seed(0)
    texts, pooled = torch.randn(4, 7, WIDTH), torch.randn(4, 7, WIDTH)
    expected = F.cosine_similarity(texts, pooled, dim=-1).t()
    torch.testing.assert_close(pair_cosines(texts, pooled), expected)
    expected = F.cosine_similarity(texts[0], pooled, dim=-1).t()
    torch.testing.assert_close(pair_cosines(texts[0], pooled), expected)
