import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.datasets.tokenizers import load_tokenizer
from diffusionret_mm.visualization import (
    PictureError,
    frame_attention,
    match_words,
    trace_diffusion,
)


@pytest.mark.parametrize('direction', ['t2v', 'v2t'])
def test_the_trajectory_ends_in_what_the_evaluation_ranks_by(tiny_model, features, direction):
    texts, videos = features(num_texts=9, num_videos=7)
    tiny_model.set_stage('generation')
    scores = tiny_model.similarity(texts, videos).detach()
    final = dict(zip(('t2v', 'v2t'), tiny_model.rerank(scores, texts, videos), strict=True))
    queries, candidates = (texts, videos) if direction == 't2v' else (videos, texts)
    scores = scores if direction == 't2v' else scores.t()
    rows = torch.tensor([5, 2])
    trace = trace_diffusion(tiny_model, direction, scores[rows], queries[rows], candidates, rows)
    best, states, times = trace.best, trace.states, trace.times
    assert states.shape == (11, 2, 4)
    assert times == list(range(10, -1, -1))
    added = (final[direction] - scores)[rows].gather(1, best)
    torch.testing.assert_close(states[-1].softmax(dim=1), added)
    assert states[0].abs().max() > 1.01  # noise; predictions are clipped to [-1, 1]
    assert (np.diff(scores[rows].gather(1, best).numpy()) <= 0).all()


def test_who_does_not_diffuse_says_so(tiny_model, features):
    texts, videos = features()
    scores = tiny_model.similarity(texts, videos).detach()
    with pytest.raises(PictureError, match="DiffusionRet in stage 'discrimination' diffuses noth"):
        trace_diffusion(tiny_model, 't2v', scores, texts, videos, torch.arange(7))


def test_attention_pools_the_frames_as_the_generator_does(tiny_model, features):
    texts, videos = features(num_texts=5, num_videos=5)
    assert frame_attention(tiny_model, texts, videos) is None
    tiny_model.set_stage('generation')
    weights = frame_attention(tiny_model, texts, videos)
    pooled = tiny_model.generators['t2v'].attention(texts.pooled, videos.frames, videos.mask)
    torch.testing.assert_close(torch.einsum('nf,nfd->nd', weights, videos.frames), pooled)


def test_attention_of_xpool(tiny_model_cfg, features):
    cfg = {key: tiny_model_cfg[key] for key in ('backbone', 'temporal')}
    loss = dict(type='ContrastiveLoss')
    model = MODELS.build(
        dict(cfg, type='TextVideoRetriever', similarity=dict(type='XPool', width=64), loss=loss)
    ).eval()
    texts, videos = features(num_texts=3, num_videos=3)
    weights = frame_attention(model, texts, videos)
    assert weights.shape == (3, 4)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
    assert (weights[~videos.mask] == 0).all()
    head = model.similarity
    expected = head.attention(head.prepare_texts(texts).queries, head.prepare_videos(videos))
    torch.testing.assert_close(weights, expected[torch.arange(3), torch.arange(3)])
    assert match_words(model, 'a box', texts[:1], videos[:1]) is None


def test_the_match_of_words_and_frames_makes_the_similarity(tiny_model, batch):
    inputs = batch(num_videos=2)
    with torch.no_grad():
        texts, videos = tiny_model.eval()(inputs, mode='tensor')
    text, video = texts[1:2], videos[:1]
    caption = ' '.join(['box'] * (int(text.mask.sum()) - 2))
    match = match_words(tiny_model, caption, text, video)
    t2v = (match.word_weights * match.cosines.max(axis=1)).sum()
    v2t = (match.frame_weights * match.cosines.max(axis=0)).sum()
    assert (t2v + v2t) / 2 == pytest.approx(tiny_model.similarity(text, video).item(), abs=1e-5)
    with pytest.raises(PictureError, match="'box' has 3 tokens and its features are of"):
        match_words(tiny_model, 'box', text, video)


def test_tokens_are_written_as_text():
    token_names = load_tokenizer().token_names
    assert token_names('A dog, 5$', 16) == ['[start]', 'a', 'dog', ',', '5', '$', '[end]']
    assert token_names('one two three four', 4) == ['[start]', 'one', 'two', '[end]']
