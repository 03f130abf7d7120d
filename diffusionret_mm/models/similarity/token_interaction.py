"""Token interaction: the best match of every word and of every frame."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.models.similarity.one_text import OneText
from diffusionret_mm.models.similarity.packed_tokens import TokenBlock, token_blocks
from diffusionret_mm.structures import TextFeatures, VideoFeatures

PADDING_RULES = ('excluded', 'zero')
PRODUCTS = ('float32', 'bfloat16', 'float16')
# Tokens of a block on either side, about: its products take 1 MB, a core's share of most caches.
BLOCK_TOKENS = 512
# Videos of a block are a multiple of this: maxima over frames run over rows of as many numbers,
# 5 to 10 times faster (torch 2.15) than over shorter or odd ones.
ROW = 32
# Texts without their padding are held for so many texts: a bound on memory.
TEXTS_AT_A_TIME = 4096


@MODELS.register_module()
class TokenInteraction(Similarity):
    """Similarity of texts and videos from the best matches of their tokens, without parameters.

    With cosines c of word t and frame f, and weights a of the words and b of the frames,
    S = (sum_t a_t max_f c_tf + sum_f b_f max_t c_tf) / 2. Here all real words weigh the same, and
    so do all real frames: it is `WeightedTokenInteraction` without its networks. There is no logit
    scale inside.

    Args:
        padding: what padded words and frames are in a maximum: 'excluded', or 'zero', the rule of
            the published code, where a padding's 0 beats a negative cosine.
        products: precision of the matrix products in `score_gallery`: 'float32', or 'bfloat16' or
            'float16', which a GPU computes several times faster and to 2 or 3 digits.

    Raises:
        ValueError: if `padding` or `products` is none of those.
    """

    def __init__(self, padding: str = 'excluded', products: str = 'float32') -> None:
        super().__init__()
        if products not in PRODUCTS:
            raise ValueError(f'products must be one of {PRODUCTS}; got {products!r}.')
        self.product_dtype = getattr(torch, products)
        if padding not in PADDING_RULES:
            raise ValueError(f'padding must be one of {PADDING_RULES}; got {padding!r}.')
        self.padding = padding
        self.word_weight: nn.Module = EqualLogits()
        self.frame_weight: nn.Module = EqualLogits()

    def word_weights(self, texts: TextFeatures) -> Tensor:
        """Return the weights of the words, shape [N, L]; 0 for padding."""
        return _token_weights(self.word_weight, texts.words, texts.mask)

    def frame_weights(self, videos: VideoFeatures) -> Tensor:
        """Return the weights of the frames, shape [M, F]; 0 for padding."""
        return _token_weights(self.frame_weight, videos.frames, videos.mask)

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text against every video.

        Args:
            texts: N texts of L words.
            videos: M videos of F frames.

        Returns:
            Scores in [-1, 1], shape [N, M]. Memory is that of [N, M, L, F]: give it blocks
            (`score_gallery` does).
        """
        words = F.normalize(texts.words, dim=-1)
        frames = F.normalize(videos.frames, dim=-1)
        cosines = torch.einsum('nld,mfd->nmlf', words, frames)
        real_words = texts.mask[:, None, :, None]
        real_frames = videos.mask[None, :, None, :]
        best_frame = self._mask(cosines, real_frames, real_words).amax(dim=-1)
        best_word = self._mask(cosines, real_words, real_frames).amax(dim=-2)
        t2v = torch.einsum('nl,nml->nm', self.word_weights(texts), best_frame)
        v2t = torch.einsum('mf,nmf->nm', self.frame_weights(videos), best_word)
        return (t2v + v2t) / 2

    @torch.no_grad()
    def score_gallery(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        frame_weights: Tensor | None = None,
        chunk_size: int = 64,
    ) -> Tensor:
        """Score every text against every video: `forward` to rounding, for whole galleries.

        Padding takes part in no product: under the rule 'zero' it is one more candidate of cosine 0
        in a maximum. Texts and videos of about the same numbers of tokens share a matrix product;
        a block of products is small enough for the cache, and there is never another one. Features
        may lie on another device than the weights and have half precision. One text and videos of
        known frame weights, as in a search, are not packed: see `OneText`.

        Args:
            texts: N texts.
            videos: M videos. One without any frame, and a text without any word, score 0.
            frame_weights: their frame weights [M, F], if they are known: computing them takes most
                of the time where texts are few.
            chunk_size: not used: blocks fit the cache.

        Returns:
            Scores in [-1, 1], shape [N, M].
        """
        if len(texts) == 1 and frame_weights is not None and self.product_dtype == torch.float32:
            text = texts.to(self.placement)
            one = OneText.of(text, self.word_weights(text), self.padding == 'zero')
            return one.score(videos, frame_weights)[None]
        sizes = dict(block_tokens=BLOCK_TOKENS, like=self.placement)
        scores = torch.zeros(len(texts), len(videos), device=self.placement.device)
        frames = videos.frames, videos.mask, self.frame_weight, frame_weights
        video_blocks = list(token_blocks(*frames, **sizes, multiple=ROW))
        for start in range(0, len(texts), TEXTS_AT_A_TIME):
            rows = slice(start, start + TEXTS_AT_A_TIME)
            words = texts.words[rows], texts.mask[rows], self.word_weight
            text_blocks = list(token_blocks(*words, **sizes))
            self._score_blocks(text_blocks, video_blocks, scores[rows])
        return scores

    def _score_blocks(
        self, text_blocks: list[TokenBlock], video_blocks: list[TokenBlock], scores: Tensor
    ) -> None:
        """Score blocks of texts against blocks of videos, into their places of `scores`."""

        def score(videos: TokenBlock) -> None:
            # Frames outermost: maxima then run over whole rows of numbers.
            frames = videos.tokens.to(self.product_dtype).transpose(0, 1).flatten(0, 1).t()
            for texts in text_blocks:
                scored = self._score_block(texts, videos, frames)[:, : len(videos.rows)]
                scores[texts.rows[:, None], videos.rows] = scored

        for _ in map_on_cores(score, video_blocks, scores.device):
            pass

    def _score_block(self, texts: TokenBlock, videos: TokenBlock, frames: Tensor) -> Tensor:
        """Score a texts against b videos; `frames` are those of the videos, [D, f * b]."""
        (a, num_words, _), (b, num_frames, _) = texts.tokens.shape, videos.tokens.shape
        cosines = (texts.tokens.flatten(0, 1).to(frames.dtype) @ frames).float()
        best_frame = cosines.view(a, num_words, num_frames, b).amax(dim=2)
        best_word = cosines.view(a, num_words, num_frames, b).amax(dim=1)
        if self.padding == 'zero' and videos.padded:
            best_frame.clamp_(min=0)
        if self.padding == 'zero' and texts.padded:
            best_word.clamp_(min=0)
        t2v = torch.bmm(texts.weights[:, None], best_frame)[:, 0]
        v2t = (best_word * videos.weights.t()).sum(dim=1)
        return (t2v + v2t) / 2

    def _mask(self, cosines: Tensor, candidates: Tensor, tokens: Tensor) -> Tensor:
        """Take padded candidates out of the maximum; padded tokens weigh 0 and stay finite."""
        if self.padding == 'zero':
            return cosines * candidates * tokens
        return cosines.masked_fill(~candidates, -2.0)  # below every cosine, yet finite


class EqualLogits(nn.Module):
    """Gives every token the same logit, in the place of a network that weighs them."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return zeros, [..., 1], for tokens [..., D]."""
        return tokens.new_zeros(*tokens.shape[:-1], 1)


def _token_weights(network: nn.Sequential, tokens: Tensor, mask: Tensor) -> Tensor:
    logits = network(tokens).squeeze(-1)
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min).softmax(dim=-1)
