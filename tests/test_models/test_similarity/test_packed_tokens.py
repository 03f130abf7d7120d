import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.similarity import token_interaction
from diffusionret_mm.models.similarity.packed_tokens import token_blocks
from diffusionret_mm.structures import TextFeatures, VideoFeatures


def ragged(num_texts=23, num_videos=17, words=9, frames=6, width=64, seed=0):
    """Tokens whose padding is at the end, in between, or not there; lengths from 1 to full."""
    generator = torch.Generator().manual_seed(seed)

    def draw(items, length):
        count = torch.randint(1, length + 1, (items, 1), generator=generator)
        order = torch.rand(items, length, generator=generator).argsort(dim=1)
        prefix = torch.arange(length).expand(items, -1) < count
        mask = torch.where(torch.arange(items)[:, None] % 2 == 0, prefix, order < count)
        return torch.randn(items, length, width, generator=generator), mask

    texts, text_mask = draw(num_texts, words)
    return (
        TextFeatures(texts, text_mask, texts[:, 0]),
        VideoFeatures(*draw(num_videos, frames)),
    )


SIMILARITIES = [
    dict(type=name, padding=padding, **options)
    for name, options in (('WeightedTokenInteraction', dict(width=64)), ('TokenInteraction', {}))
    for padding in ('excluded', 'zero')
]


@pytest.fixture(params=SIMILARITIES, ids=lambda config: f'{config["type"]}-{config["padding"]}')
def similarity(request):
    torch.manual_seed(0)
    return MODELS.build(dict(request.param)).eval()


@torch.no_grad()
@pytest.mark.parametrize('block_tokens', [1, 7, 512])
def test_gallery_scores_equal_the_plain_ones(similarity, monkeypatch, block_tokens):
    monkeypatch.setattr(token_interaction, 'BLOCK_TOKENS', block_tokens)
    texts, videos = ragged()
    scores = similarity.score_gallery(texts, videos)
    torch.testing.assert_close(scores, similarity(texts, videos), rtol=0, atol=1e-6)


@torch.no_grad()
def test_negative_cosines_with_and_without_padding(similarity):
    """All cosines are negative: under the rule 'zero' padding wins, and only where there is any."""
    texts, videos = ragged(words=3, frames=3)
    texts.words.abs_()
    videos.frames.abs_().neg_()
    scores = similarity.score_gallery(texts, videos)
    torch.testing.assert_close(scores, similarity(texts, videos), rtol=0, atol=1e-6)
    full = texts.mask.all(1)[:, None] & videos.mask.all(1)
    assert (scores[full] < 0).all()
    if similarity.padding == 'zero':
        padded = ~texts.mask.all(1)[:, None] & ~videos.mask.all(1)
        assert (scores[padded] == 0).all()


@torch.no_grad()
def test_nothing_real_scores_zero(similarity):
    texts, videos = ragged()
    videos.mask[3] = False
    texts.mask[5] = False
    scores = similarity.score_gallery(texts, videos)
    assert (scores[:, 3] == 0).all()
    assert (scores[5] == 0).all()
    assert scores.isfinite().all()


@pytest.mark.parametrize('known', [False, True], ids=['asked', 'known'])
@pytest.mark.parametrize(('block_tokens', 'multiple'), [(1, 1), (20, 1), (20, 4), (4096, 32)])
def test_blocks_hold_every_real_token_once(block_tokens, multiple, known):
    texts, _ = ragged()
    texts.mask[4] = False
    torch.manual_seed(0)
    weigh = torch.nn.Linear(64, 1)
    given = torch.rand(texts.mask.shape) if known else None
    sizes = dict(block_tokens=block_tokens, multiple=multiple, like=texts.words)
    blocks = list(token_blocks(texts.words, texts.mask, weigh, given, **sizes))
    rows = sorted(row for block in blocks for row in block.rows.tolist())
    assert rows == [row for row in range(23) if row != 4]
    for block in blocks:
        assert len(block.tokens) % multiple == 0
        assert len(block.tokens) - len(block.rows) < multiple
        items = zip(block.rows, block.tokens, block.weights, strict=False)
        for row, tokens, weight in items:
            mask = texts.mask[row]
            assert block.padded == (not mask.all())
            real = F.normalize(texts.words[row][mask], dim=-1)
            count = len(real)
            torch.testing.assert_close(tokens[:count], real)
            torch.testing.assert_close(tokens[count:], real.repeat(9, 1)[: len(tokens) - count])
            logits = weigh(texts.words[row][mask])[:, 0]
            expected = given[row][mask] if known else logits.softmax(dim=0)
            torch.testing.assert_close(weight[:count], expected)
            assert (weight[count:] == 0).all()


def test_items_of_about_the_same_length_share_a_block():
    torch.manual_seed(0)
    mask = torch.arange(12) < torch.randint(1, 12, (400, 1))
    weigh = torch.nn.Linear(8, 1)
    tokens = torch.randn(400, 12, 8)
    blocks = list(token_blocks(tokens, mask, weigh, like=tokens, block_tokens=128))
    copies = sum(block.weights.eq(0).sum() for block in blocks)
    assert copies < 0.05 * mask.sum()


@torch.no_grad()
@pytest.mark.parametrize(('products', 'error'), [('bfloat16', 1e-2), ('float16', 1e-3)])
def test_products_of_lower_precision(products, error):
    torch.manual_seed(0)
    fast = MODELS.build(dict(type='WeightedTokenInteraction', width=64, products=products))
    texts, videos = ragged()
    scores = fast.score_gallery(texts, videos)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, fast(texts, videos), rtol=0, atol=error)
    assert not torch.equal(scores, fast(texts, videos))
    with pytest.raises(ValueError, match='products must be one of'):
        MODELS.build(dict(type='WeightedTokenInteraction', products='int8'))


@torch.no_grad()
def test_features_of_half_precision(similarity):
    texts, videos = (part.to(torch.float16) for part in ragged())
    scores = similarity.score_gallery(texts, videos)
    exact = similarity(texts.to(torch.float32), videos.to(torch.float32))
    torch.testing.assert_close(scores, exact, rtol=0, atol=1e-6)
