import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.generators import TextFramePooling, pooled_sampler
from diffusionret_mm.models.generators.pooled_sampler import PooledSampler
from diffusionret_mm.structures import TextFeatures, VideoFeatures

NUM_QUERIES, NUM_VIDEOS, NUM_FRAMES, K = 7, 9, 5, 4


def build(masking):
    torch.manual_seed(0)
    generator = MODELS.build(
        dict(
            type='DiffusionGenerator',
            direction='t2v',
            attention=dict(type='TextFrameAttentionHead', masking=masking),
            denoiser=dict(type='QueryCandidateDenoiser', width=16),
            num_sample_steps=5,
        )
    )
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return generator


def draw():
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    mask = torch.arange(NUM_FRAMES) < torch.arange(NUM_VIDEOS)[:, None] % NUM_FRAMES + 1
    words = normal(NUM_QUERIES, 3, 16)
    texts = TextFeatures(words, torch.ones(NUM_QUERIES, 3, dtype=torch.bool), words[:, -1])
    videos = VideoFeatures(normal(NUM_VIDEOS, NUM_FRAMES, 16), mask)
    chosen = torch.rand(NUM_QUERIES, NUM_VIDEOS, generator=generator).argsort(dim=1)[:, :K]
    return texts, videos, chosen, normal(NUM_QUERIES, K), normal(2, NUM_QUERIES, K)


@pytest.mark.parametrize('masking', ['before_softmax', 'after_softmax'])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16])
def test_frames_projected_once_give_the_same(masking, dtype):
    generator = build(masking)
    texts, videos, chosen, scores, noise = draw()
    videos = videos.to(dtype)
    by_pair = PooledSampler(generator, videos, num_pairs=NUM_VIDEOS * NUM_FRAMES)
    by_frame = PooledSampler(generator, videos, num_pairs=NUM_VIDEOS * NUM_FRAMES + 1)
    assert by_pair.projected is None
    assert by_frame.projected.hidden.shape == (NUM_VIDEOS * NUM_FRAMES, 32)
    expected = by_pair.sample(texts, chosen, scores, noise)
    assert expected.std() > 0.1
    torch.testing.assert_close(
        by_frame.sample(texts, chosen, scores, noise), expected, rtol=1e-4, atol=1e-4
    )


def test_a_large_gallery_is_not_projected_as_a_whole(monkeypatch):
    monkeypatch.setattr(pooled_sampler, 'PROJECTED_BYTES', NUM_VIDEOS * NUM_FRAMES * 5 * 16 * 4)
    generator, (_, videos, *_) = build('before_softmax'), draw()
    assert PooledSampler(generator, videos, num_pairs=10**6).projected is not None
    longer = VideoFeatures(videos.frames.repeat(2, 1, 1), videos.mask.repeat(2, 1))
    assert PooledSampler(generator, longer, num_pairs=10**6).projected is None


def test_a_head_that_only_pools(monkeypatch):
    generator, (texts, videos, chosen, scores, noise) = build('before_softmax'), draw()
    expected = PooledSampler(generator, videos).sample(texts, chosen, scores, noise)
    pool = generator.attention.forward

    class Pool(TextFramePooling):
        def forward(self, *args):
            return pool(*args)

    generator.attention = Pool()
    sampler = PooledSampler(generator, videos, num_pairs=10**6)
    assert sampler.projected is None
    torch.testing.assert_close(sampler.sample(texts, chosen, scores, noise), expected)
