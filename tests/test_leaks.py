"""No score may know the right answer: rectangular, permuted, constant and meaningless galleries."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.evaluation import evaluate_ranking
from diffusionret_mm.structures import TextFeatures, VideoFeatures

WIDTH = 64
FRAMES = 4
SIMILARITIES = {
    'CosineSimilarity': {},
    'WeightedTokenInteraction': dict(width=WIDTH),
    'TokenInteraction': {},
    'EMSimilarity': {},
    'XPool': dict(width=WIDTH),
    'StochasticXPool': dict(width=WIDTH, num_frames=FRAMES),
    'PairTransformer': dict(width=WIDTH, num_layers=1, max_frames=FRAMES, position_std=1.0),
}
# The bases of EMCL-Net live on the rows of a block, so its scores depend on the block by design.
WITHOUT_BLOCKS = [name for name in SIMILARITIES if name != 'EMSimilarity']


@pytest.fixture(params=SIMILARITIES)
def similarity(request):
    torch.manual_seed(0)
    return MODELS.build(dict(type=request.param, **SIMILARITIES[request.param])).eval()


def permutation(size, seed):
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def noise(num_texts, num_videos=None, seed=0):
    num_videos = num_texts if num_videos is None else num_videos
    generator = torch.Generator().manual_seed(seed)
    return (
        TextFeatures(
            words=torch.randn(num_texts, 4, WIDTH, generator=generator),
            mask=torch.ones(num_texts, 4, dtype=torch.bool),
            pooled=torch.randn(num_texts, WIDTH, generator=generator),
        ),
        VideoFeatures(
            frames=torch.randn(num_videos, FRAMES, WIDTH, generator=generator),
            mask=torch.ones(num_videos, FRAMES, dtype=torch.bool),
        ),
    )


@torch.no_grad()
def test_a_permuted_rectangular_gallery_gives_permuted_scores(similarity, features):
    texts, videos = features(num_texts=11, num_videos=6, width=WIDTH)
    scores = similarity(texts, videos)
    assert scores.shape == (11, 6)
    rows, columns = permutation(11, 1), permutation(6, 2)
    permuted = similarity(texts[rows], videos[columns])
    torch.testing.assert_close(permuted, scores[rows][:, columns], atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize('name', WITHOUT_BLOCKS)
def test_a_pair_scores_alike_in_any_company(name, features):
    similarity = MODELS.build(dict(type=name, **SIMILARITIES[name])).eval()
    texts, videos = features(num_texts=11, num_videos=6, width=WIDTH)
    scores = similarity(texts, videos)
    alone = similarity(texts[4:5], videos[3:4])
    torch.testing.assert_close(alone[0, 0], scores[4, 3])


@torch.no_grad()
def test_reranking_of_a_permuted_gallery_is_permuted(tiny_model, features):
    """Queries keep their start noise: only the candidates change places."""
    texts, videos = features(num_texts=9, num_videos=7)
    tiny_model.set_stage('generation')
    scores = tiny_model.similarity(texts, videos)
    t2v, v2t = tiny_model.rerank(scores, texts, videos)
    rows, columns = permutation(9, 1), permutation(7, 2)
    permuted, _ = tiny_model.rerank(scores[:, columns], texts, videos[columns])
    torch.testing.assert_close(permuted, t2v[:, columns], atol=1e-5, rtol=0)
    _, permuted = tiny_model.rerank(scores[rows], texts[rows], videos)
    torch.testing.assert_close(permuted, v2t[:, rows], atol=1e-5, rtol=0)


@pytest.mark.parametrize('ties', ['average', 'published'])
def test_constant_scores_give_chance_recall(ties):
    scores = torch.full((200, 200), 0.25)
    metrics = evaluate_ranking(scores, scores.t(), torch.arange(200), ties=ties)
    for direction in ('t2v', 'v2t'):
        for k in (1, 5, 10):
            assert metrics[f'{direction}/R@{k}'] == pytest.approx(100 * k / 200)
        assert metrics[f'{direction}/MdR'] == metrics[f'{direction}/MnR'] == 100.5


@torch.no_grad()
def test_constant_features_give_chance_recall(tiny_model):
    """Every text and every video is the same one: the re-ranking cannot tell them apart either."""
    texts, videos = noise(1, 1)
    texts, videos = texts[[0] * 40], videos[[0] * 40]
    tiny_model.set_stage('generation')
    tiny_model.candidates_per_query = dict(t2v=40, v2t=40)
    scores = tiny_model.similarity(texts, videos)
    assert torch.equal(scores, scores[:1, :1].expand_as(scores))
    metrics = evaluate_ranking(*tiny_model.rerank(scores, texts, videos), torch.arange(40))
    # The start noise ranks them; 40 queries hit by chance with a probability of 1 in 40 each.
    assert metrics['t2v/R@1'] <= 15
    assert metrics['v2t/R@1'] <= 15


@torch.no_grad()
def test_features_of_noise_give_chance_recall(similarity):
    """1,000 texts of 250 videos: expected R@10 is 4 %, with a standard deviation of 0.6 points."""
    # A pair of PairTransformer costs a pass of its transformer; 500 texts: 0.9 points.
    num_texts = 500 if type(similarity).__name__ == 'PairTransformer' else 1000
    texts, videos = noise(num_texts, 250)
    own = torch.arange(num_texts) % 250
    blocks = torch.arange(num_texts).split(125)
    scores = torch.cat([similarity(texts[rows], videos) for rows in blocks])
    metrics = evaluate_ranking(scores, scores.t(), own)
    assert metrics['t2v/R@10'] == pytest.approx(4.0, abs=2.0)
    assert metrics['v2t/R@10'] == pytest.approx(4.0, abs=4.0)


@torch.no_grad()
def test_reranked_noise_gives_chance_recall(tiny_model):
    """300 x 300: expected R@10 is 3.3 %, with a standard deviation of 1.0 points."""
    texts, videos = noise(300, 300)
    tiny_model.set_stage('generation')
    tiny_model.candidates_per_query = dict(t2v=32, v2t=32)
    scores = tiny_model.similarity(texts, videos)
    t2v, v2t = tiny_model.rerank(scores, texts, videos)
    metrics = evaluate_ranking(t2v, v2t, torch.arange(300))
    assert metrics['t2v/R@10'] == pytest.approx(10 / 3, abs=3.0)
    assert metrics['v2t/R@10'] == pytest.approx(10 / 3, abs=3.0)


@pytest.fixture
def text_diff(tiny_model_cfg):
    torch.manual_seed(0)
    denoiser = dict(type='TextDenoiser', width=WIDTH, num_frames=FRAMES)
    model = MODELS.build(
        dict(
            type='TextDiff',
            backbone=tiny_model_cfg['backbone'],
            similarity=dict(type='XPool', width=WIDTH),
            loss=dict(type='ContrastiveLoss'),
            diffusion=dict(type='TextDiffusion', denoiser=denoiser),
            num_candidates=8,
        )
    )
    for parameter in model.diffusion.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.eval()


def pooled_by_the_own_caption(similarity, texts, videos):
    """The published scores: video c is pooled by the caption of video c, whatever the query."""
    queries = similarity.prepare_texts(texts).queries
    own = similarity.pool(queries[:, None], similarity.prepare_videos(videos))[:, 0]
    return F.normalize(texts.pooled, dim=-1) @ F.normalize(own, dim=-1).t()


def wide_noise(size):
    generator = torch.Generator().manual_seed(0)
    real = torch.ones(size, 12, dtype=torch.bool)
    pooled = torch.randn(size, 512, generator=generator)
    frames = torch.randn(size, 12, 512, generator=generator)
    texts = TextFeatures(words=pooled[:, None], mask=real[:, :1], pooled=pooled)
    return texts, VideoFeatures(frames=frames, mask=real)


@torch.no_grad()
@pytest.mark.parametrize(
    ('name', 'draw'),
    [
        pytest.param('XPool', wide_noise, marks=pytest.mark.slow),  # half a trillion operations
        ('StochasticXPool', noise),
    ],
)
def test_noise_in_a_gallery_of_1000_gives_chance_recall(name, draw):
    """Expected R@1 is 0.1 %, deviation 0.1; the published scoring has 10 % at width 512."""
    texts, videos = draw(1000)
    options = {} if draw is wide_noise else SIMILARITIES[name]
    scores = MODELS.build(dict(type=name, **options)).eval()(texts, videos)
    metrics = evaluate_ranking(scores, scores.t(), torch.arange(1000))
    assert metrics['t2v/R@1'] <= 0.3
    assert metrics['v2t/R@1'] <= 0.3
    assert metrics['t2v/MnR'] == pytest.approx(500, abs=40)


@torch.no_grad()
def test_the_published_scoring_is_caught():
    similarity = MODELS.build(dict(type='XPool')).eval()
    texts, videos = wide_noise(1000)
    leaky = pooled_by_the_own_caption(similarity, texts, videos)
    metrics = evaluate_ranking(leaky, leaky.t(), torch.arange(1000))
    assert metrics['t2v/R@1'] == pytest.approx(10, abs=2)
    assert metrics['v2t/R@1'] == pytest.approx(10, abs=2)


@torch.no_grad()
@pytest.mark.parametrize('name', WITHOUT_BLOCKS)
def test_scores_of_a_text_do_not_change_with_other_captions(name):
    similarity = MODELS.build(dict(type=name, **SIMILARITIES[name])).eval()
    texts, videos = noise(9, 9)
    others, _ = noise(9, 9, seed=1)
    mixed = TextFeatures.cat([texts[:3], others[3:]])
    assert torch.equal(similarity(mixed, videos)[:3], similarity(texts, videos)[:3])
    # Nor with their number: 2 texts against 9 videos are a gallery too.
    torch.testing.assert_close(similarity(texts[:2], videos), similarity(texts, videos)[:2])


@torch.no_grad()
@pytest.mark.parametrize('name', ['XPool', 'StochasticXPool'])
def test_a_type_alone_builds_at_the_published_size(name):
    texts, videos = wide_noise(5)
    assert MODELS.build(dict(type=name)).eval()(texts[:3], videos).shape == (3, 5)


@torch.no_grad()
def test_diffused_scores_of_a_text_do_not_change_with_other_captions(text_diff):
    texts, videos = noise(9, 9)
    others, _ = noise(9, 9, seed=1)
    mixed = TextFeatures.cat([texts[:3], others[3:]])
    text_diff.candidates_per_query = 9
    (t2v, v2t), (mixed_t2v, mixed_v2t) = (
        text_diff.rerank(text_diff.similarity(some, videos), some, videos)
        for some in (texts, mixed)
    )
    torch.testing.assert_close(mixed_t2v[:3], t2v[:3])
    torch.testing.assert_close(mixed_v2t[:, :3], v2t[:, :3])


@torch.no_grad()
def test_diffused_scores_of_a_permuted_rectangular_gallery(text_diff):
    texts, videos = noise(11, 6)
    scores = text_diff.similarity(texts, videos)
    t2v, v2t = text_diff.rerank(scores, texts, videos)
    assert t2v.shape == (11, 6)
    columns = permutation(6, 2)
    permuted, v2t_of_rows = text_diff.rerank(scores[:, columns], texts, videos[columns])
    torch.testing.assert_close(permuted, t2v[:, columns], atol=1e-5, rtol=0)
    torch.testing.assert_close(v2t_of_rows, v2t[columns], atol=1e-5, rtol=0)


@torch.no_grad()
def test_diffused_noise_gives_chance_recall(text_diff):
    """1,000 x 1,000: expected R@1 is 0.1 %, with a standard deviation of 0.1 points."""
    texts, videos = noise(1000, 1000)
    scores = text_diff.similarity(texts, videos)
    metrics = evaluate_ranking(*text_diff.rerank(scores, texts, videos), torch.arange(1000))
    assert metrics['t2v/R@1'] <= 0.3
    assert metrics['v2t/R@1'] <= 0.3
