"""Pairs of words and frames, and the models that read them."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.generators import CandidateRows, PairVectors, pair_sampler
from diffusionret_mm.structures import TextFeatures, VideoFeatures

N, M, L, FRAMES, D, K = 5, 7, 4, 3, 16, 3
ENCODER = dict(type='TokenPairEncoder', width=D, hidden_width=8, num_heads=2, pair_width=8)
HEAD = dict(pair_width=8, num_heads=2)
LISTWISE = dict(
    type='ListwiseReranker', encoder=ENCODER, head=dict(type='CandidateListHead', **HEAD)
)
DIFFUSION = dict(
    type='DiffusionGenerator',
    encoder=ENCODER,
    denoiser=dict(type='CandidateListDenoiser', **HEAD),
    num_sample_steps=4,
)


def build(config, direction='t2v'):
    torch.manual_seed(0)
    return MODELS.build(dict(config, direction=direction)).eval()


@pytest.fixture(scope='module')
def features():
    torch.manual_seed(1)
    words, lengths = torch.randn(N, L, D), torch.tensor([4, 2, 3, 4, 1])
    mask = torch.arange(L) < lengths[:, None]
    texts = TextFeatures(words, mask, words[torch.arange(N), lengths - 1])
    frame_mask = torch.arange(FRAMES) < torch.tensor([3, 3, 2, 1, 3, 2, 3])[:, None]
    return texts, VideoFeatures(torch.randn(M, FRAMES, D), frame_mask)


def chosen_of(direction):
    size, others = (N, M) if direction == 't2v' else (M, N)
    order = torch.rand(size, others, generator=torch.Generator().manual_seed(2)).argsort(dim=1)
    return order[:, :K]


def by_hand(encoder, words, frames):
    """The equations of the class docstring, a pair and a head at a time, without padding."""
    d, heads = encoder.word_proj.out_features // 3, encoder.num_heads
    q, r, g, a = encoder.word_proj(encoder.word_norm(words)).split([d, d, d, 1], dim=-1)
    positions = encoder.position[: len(frames)]
    k, u = encoder.frame_proj(encoder.frame_norm(frames) + positions).chunk(2, dim=-1)
    attended = []
    for h in range(heads):
        part = slice(h * d // heads, (h + 1) * d // heads)
        weights = (q[:, part] @ k[:, part].t() / (d / heads) ** 0.5).softmax(dim=-1)
        attended.append(weights @ u[:, part])
    cosines = F.cosine_similarity(words[:, None], frames[None], dim=-1)
    compared = 4 * cosines @ encoder.cosines.weight[:, : len(frames)].t() + encoder.cosines.bias
    hidden = encoder.mixed(r + (1 + g) * torch.cat(attended, dim=-1) + compared)
    weights = (a + encoder.word_logit(hidden)).softmax(dim=0)
    return encoder.out((weights * hidden).sum(dim=0))


def test_a_pair_is_encoded_as_the_equations_say(features):
    texts, videos = features
    encoder = MODELS.build(ENCODER).eval()
    words, frames = encoder.project_texts(texts), encoder.project_videos(videos)
    text, video = torch.tensor([[1]]), torch.tensor([[2, 3, 0]])
    pairs = encoder(words[text], frames[video])
    for column, row in enumerate(video[0].tolist()):
        real = videos.frames[row][videos.mask[row]]
        expected = by_hand(encoder, texts.words[1][texts.mask[1]], real)
        torch.testing.assert_close(pairs[0, column], expected, rtol=1e-4, atol=1e-5)
    swapped = encoder(words[torch.tensor([[0, 1]])], frames[torch.tensor([[2]])])
    torch.testing.assert_close(swapped[0, 1], pairs[0, 0], rtol=1e-4, atol=1e-5)


def test_more_frames_than_positions_are_refused(features):
    encoder = MODELS.build(dict(ENCODER, max_frames=2))
    with pytest.raises(ValueError, match='have 3 frames, and TokenPairEncoder has 2 positions'):
        encoder.project_videos(features[1])


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match='num_heads=3 must divide hidden_width=8'):
        MODELS.build(dict(ENCODER, num_heads=3))


@pytest.mark.parametrize('direction', ['t2v', 'v2t'])
@pytest.mark.parametrize('config', [LISTWISE, DIFFUSION], ids=['listwise', 'diffusion'])
def test_chunks_and_projections_change_no_draw(features, monkeypatch, config, direction):
    generator, chosen = build(config, direction), chosen_of(direction)
    queries, candidates = features if direction == 't2v' else features[::-1]
    scores, noise = torch.rand(chosen.shape), torch.randn(2, *chosen.shape)
    expected = generator.sampler(candidates).sample(queries, chosen, scores, noise)
    assert expected.shape == ((1 if config is LISTWISE else 2), *chosen.shape)
    monkeypatch.setattr(pair_sampler, 'PAIR_BYTES', 1)
    monkeypatch.setattr(pair_sampler, 'PROJECTED_BYTES', 0)
    sampler = generator.sampler(candidates)
    assert sampler.projected is None
    found = sampler.sample(queries, chosen, scores, noise)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('config', [LISTWISE, DIFFUSION], ids=['listwise', 'diffusion'])
def test_the_order_of_the_candidates_does_not_matter(features, config):
    generator, chosen = build(config), chosen_of('t2v')
    texts, videos = features
    scores, noise = torch.rand(chosen.shape), torch.randn(1, *chosen.shape)
    sampler = generator.sampler(videos)
    expected = sampler.sample(texts, chosen, scores, noise).flip(2)
    found = sampler.sample(texts, chosen.flip(1), scores.flip(1), noise.flip(2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def rows_of(features, direction='t2v'):
    texts, videos = features
    chosen = chosen_of(direction)
    query = torch.arange(len(chosen))[:, None]
    sides = (query, chosen) if direction == 't2v' else (chosen, query)
    positive = torch.zeros_like(chosen, dtype=torch.bool)
    positive[:, 1] = True
    return CandidateRows(texts, videos, *sides, torch.rand(chosen.shape), positive)


@pytest.mark.parametrize('direction', ['t2v', 'v2t'])
def test_training_rows_are_encoded_as_in_evaluation(features, direction):
    generator, rows = build(LISTWISE, direction), rows_of(features, direction)
    queries, candidates = features if direction == 't2v' else features[::-1]
    chosen = rows.video_rows if direction == 't2v' else rows.text_rows
    noise = torch.zeros(1, *chosen.shape)
    expected = generator.sampler(candidates).sample(queries, chosen, rows.scores, noise)[0]
    found = generator(generator.training_context(rows))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('direction', ['t2v', 'v2t'])
def test_pooled_training_rows_are_those_of_all_pairs(features, direction, monkeypatch):
    monkeypatch.setattr('diffusionret_mm.models.generators.diffusion_generator.GATHER_BYTES', 1)
    pooled = dict(type='DiffusionGenerator', denoiser=dict(type='QueryCandidateDenoiser', width=D))
    generator, rows = build(pooled, direction), rows_of(features, direction)
    texts, videos = features
    context = generator.training_context(rows)
    text = (
        texts.pooled[rows.text_rows[:, 0]] if direction == 't2v' else texts.pooled[rows.text_rows]
    )
    at = rows.video_rows if direction == 't2v' else rows.video_rows[:, 0]
    expected = generator.context(text, videos.frames[at], videos.mask[at])
    torch.testing.assert_close(context.query, expected.query)
    torch.testing.assert_close(context.candidates, expected.candidates)


def test_the_ideal_distribution_has_all_positives():
    generator = build(dict(DIFFUSION, negative_value=-1.0))
    positive = torch.tensor([[False, True, True], [True, False, False]])
    assert generator.ideal(torch.zeros(2, 3), positive).tolist() == [[-1, 1, 1], [1, -1, -1]]


def test_a_diffusion_over_pairs_runs_its_steps(features):
    generator, chosen = build(DIFFUSION), chosen_of('t2v')
    texts, videos = features
    noise = torch.randn(2, *chosen.shape)
    sampler = generator.sampler(videos)
    states = sampler.sample(texts, chosen, torch.rand(chosen.shape), noise, return_trajectory=True)
    assert states.shape == (2, 4, *chosen.shape)
    assert not torch.equal(states[0, -1], states[1, -1])


def test_pooled_vectors_and_pairs_exclude_each_other():
    with pytest.raises(ValueError, match='attention .* or encoder'):
        build(dict(DIFFUSION, attention=dict(type='TextFrameAttentionHead')))


def test_similarities_count():
    generator = build(LISTWISE)
    pairs = torch.randn(2, K, 8)
    low, high = (generator(PairVectors(pairs, torch.full((2, K), s))) for s in (0.0, 1.0))
    assert not torch.allclose(low, high)
