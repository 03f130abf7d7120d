"""Training rows from a random gallery."""

import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.retrievers.sampled_gallery import SampledGallery, gallery_rows
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@pytest.fixture(scope='module')
def gallery():
    """Ten videos with two captions each; the batch has a caption of videos 2, 5 and 5."""
    torch.manual_seed(0)
    words = torch.randn(20, 3, 16)
    texts = TextFeatures(words, torch.ones(20, 3, dtype=torch.bool), words[:, -1])
    videos = VideoFeatures(torch.randn(10, 4, 16), torch.ones(10, 4, dtype=torch.bool))
    return SampledGallery(
        texts, videos, torch.arange(10).repeat_interleave(2), torch.tensor([4, 10, 11])
    )


def score(texts, videos):
    return F.normalize(texts.pooled, dim=1) @ F.normalize(videos.frames.mean(dim=1), dim=1).t()


def test_rows_are_the_best_candidates_as_evaluation_finds_them(gallery):
    rows = gallery_rows(gallery, score, dict(t2v=4, v2t=6))
    scores = score(gallery.texts, gallery.videos)
    for row, (text, video) in enumerate([(4, 2), (10, 5), (11, 5)]):
        best = scores[text].topk(4).indices.tolist()
        wanted = best if video in best else [*best[:3], video]
        assert rows['t2v'].video_rows[row].tolist() == wanted
        assert rows['t2v'].positive[row].tolist() == [other == video for other in wanted]
        torch.testing.assert_close(rows['t2v'].scores[row], scores[text, wanted])
        best = scores[:, video].topk(6).indices.tolist()
        wanted = best if text in best else [*best[:5], text]
        assert rows['v2t'].text_rows[row].tolist() == wanted
        assert rows['v2t'].positive[row].tolist() == [other // 2 == video for other in wanted]
        torch.testing.assert_close(rows['v2t'].scores[row], scores[wanted, video])
    assert rows['t2v'].text_rows.tolist() == [[4], [10], [11]]
    assert rows['v2t'].video_rows.tolist() == [[2], [5], [5]]


def test_a_small_gallery_gives_all_it_has(gallery):
    rows = gallery_rows(gallery, score, dict(t2v=32, v2t=32))
    assert rows['t2v'].scores.shape == (3, 10)
    assert rows['v2t'].scores.shape == (3, 20)


ENCODER = dict(type='TokenPairEncoder', width=None, hidden_width=8, num_heads=2, pair_width=8)
GENERATORS = dict(
    listwise=dict(
        type='ListwiseReranker',
        encoder=ENCODER,
        head=dict(type='CandidateListHead', pair_width=8, num_heads=2),
    ),
    pairs=dict(
        type='DiffusionGenerator',
        encoder=ENCODER,
        denoiser=dict(type='CandidateListDenoiser', pair_width=8, num_heads=2),
        num_sample_steps=2,
    ),
    pooled=dict(
        type='DiffusionGenerator', denoiser=dict(type='QueryCandidateDenoiser', width=None)
    ),
)


def build(tiny_model_cfg, generator, **options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(tiny_model_cfg, stage='generation', generator=GENERATORS[generator], **options)
    )


@pytest.fixture
def own_gallery(features):
    texts, videos = features(num_texts=5)
    return SampledGallery(texts, videos, torch.arange(5), torch.tensor([0, 3]))


@pytest.mark.parametrize('loss', ['GenerationKLLoss', 'CandidateBCELoss'])
@pytest.mark.parametrize('generator', GENERATORS)
def test_every_generator_trains_on_it(tiny_model_cfg, own_gallery, generator, loss):
    loss_head = dict(type='KLContrastiveLoss', generation=dict(type=loss))
    model = build(tiny_model_cfg, generator, negatives='sampled_gallery', loss=loss_head)
    losses = model.train()(dict(sampled_gallery=own_gallery), mode='loss')
    sum(losses.values()).backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing
    assert set(losses) == {'loss_generation_t2v', 'loss_generation_v2t'}


@pytest.mark.parametrize('generator', GENERATORS)
def test_it_re_ranks_in_chunks_of_any_size(tiny_model_cfg, features, generator):
    model = build(tiny_model_cfg, generator, negatives='sampled_gallery', num_draws=2).eval()
    texts, videos = features(num_texts=5)
    with torch.no_grad():
        scores = model.similarity(texts, videos)
        expected = model.rerank(scores, texts, videos)
        model.rerank_chunk = 2
        for found, wanted in zip(model.rerank(scores, texts, videos), expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert not torch.equal(expected[0], scores)


def test_only_a_diffusion_has_states(tiny_model_cfg, features):
    texts, videos = features(num_texts=5)
    for generator, has_states in (('listwise', False), ('pairs', True)):
        model = build(tiny_model_cfg, generator, negatives='sampled_gallery').eval()
        trace = model.trace('t2v', torch.rand(5, 5), texts, videos, torch.arange(5))
        assert (trace is not None) == has_states


def test_pictures_fall_back_on_the_attention_of_the_similarity(tiny_model_cfg, features):
    texts, videos = features(num_texts=5)
    model = build(tiny_model_cfg, 'listwise', negatives='sampled_gallery').eval()
    expected = model.similarity.frame_attention(texts, videos)
    found = model.frame_attention(texts, videos)
    assert found is None if expected is None else torch.equal(found, expected)


def test_pairs_need_a_sampled_gallery(tiny_model_cfg):
    with pytest.raises(ValueError, match=r"takes negatives from \('sampled_gallery',\)"):
        build(tiny_model_cfg, 'listwise')


def test_a_batch_without_gallery_is_refused(tiny_model_cfg):
    model = build(tiny_model_cfg, 'listwise', negatives='sampled_gallery')
    with pytest.raises(ValueError, match='from a feature cache'):
        model(dict(), mode='loss')


@pytest.mark.parametrize('generator', ['listwise', 'pairs'])
def test_weights_are_for_the_number_of_candidates_they_were_trained_on(tiny_model_cfg, generator):
    trained = build(tiny_model_cfg, generator, negatives='sampled_gallery').state_dict()
    build(tiny_model_cfg, generator, negatives='sampled_gallery').load_state_dict(trained)
    other = build(
        tiny_model_cfg, generator, negatives='sampled_gallery', num_candidates=dict(t2v=4, v2t=8)
    )
    with pytest.raises(CheckpointError, match=r'on 4 .* text and 4 .* re-ranks 4 and 8.*t2v=4'):
        other.load_state_dict(trained)
    del trained['trained_candidates']  # a checkpoint of before: its number is not known
    other.load_state_dict(trained)
    assert other.state_dict()['trained_candidates'].tolist() == [4, 8]


def test_published_generators_re_rank_any_number(tiny_model_cfg):
    trained = build(tiny_model_cfg, 'pooled').state_dict()
    assert 'trained_candidates' not in trained
    build(tiny_model_cfg, 'pooled', num_candidates=2).load_state_dict(trained)


def test_stage_one_knows_no_number_of_candidates(tiny_model_cfg):
    model = build(tiny_model_cfg, 'listwise', negatives='sampled_gallery')
    assert model.stage_of('trained_candidates') == 'generation'


def test_training_galleries_must_have_all_candidates(tiny_model_cfg):
    options = dict(negatives='sampled_gallery', gallery_sizes=(3, 9))
    with pytest.raises(ValueError, match='too small for num_candidates=4'):
        build(tiny_model_cfg, 'listwise', **options)
    build(tiny_model_cfg, 'pooled', **options)
