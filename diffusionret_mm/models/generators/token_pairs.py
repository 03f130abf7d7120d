"""Words by frames: a vector per (text, video) pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.generators.base import CandidateRows
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Cosines of trained features are small; times this they have about the size of the other inputs.
COSINE_SCALE = 4.0


@dataclass(frozen=True)
class PairVectors:
    """Queries and their candidates as pairs.

    Args:
        pairs: a vector of each (query, candidate) pair, shape [n, K, P].
        scores: similarities of the pairs, shape [n, K].
    """

    pairs: Tensor
    scores: Tensor

    @property
    def like(self) -> Tensor:
        """See `CandidateContext`."""
        return self.pairs[..., 0]


@dataclass(frozen=True)
class Tokens:
    """Words or frames, projected; leading dimensions are free.

    Args:
        projected: [..., T, C], C depends on what they are.
        unit: the features with length 1, [..., T, D].
        mask: true for real tokens, [..., T], bool.
    """

    projected: Tensor
    unit: Tensor
    mask: Tensor

    def __getitem__(self, rows: Tensor) -> Tokens:
        """Select texts or videos by their rows, of any shape."""
        return Tokens(**{name: value[rows] for name, value in vars(self).items()})


@MODELS.register_module()
class TokenPairEncoder(BaseModule):
    """Encodes a text and a video as one vector, by attention of all words to all frames.

    With heads of width d / H over the frames f of a video and the words w of a text:

        o_w = concat_h softmax_f( q_wh . k_fh / sqrt(d / H) ) u_fh
        h_w = W relu( LN( r_w + (1 + g_w) * o_w + C cos(w, .) ) )
        e   = W' gelu( sum_w softmax_w( a . w + b . h_w ) h_w )

    where q, r and g are projections of a word, k and u of a frame with its position, and cos(w, .)
    are the cosines of a word with all frames. The published inputs of a generator, end-of-text
    feature and pooled video, know no words and one vector per video.

    Args:
        width: width D of words and frames; None in a config is that of the backbone.
        hidden_width: width d of the attention.
        num_heads: number H of heads.
        pair_width: width P of the result.
        max_frames: number of frames that have a position, at most.
        dropout: share of the channels that training leaves out.

    Raises:
        ValueError: if the heads do not divide the hidden width.
    """

    def __init__(
        self,
        width: int,
        hidden_width: int = 128,
        num_heads: int = 4,
        pair_width: int = 64,
        max_frames: int = 64,
        dropout: float = 0.15,
    ) -> None:
        super().__init__()
        if hidden_width % num_heads:
            raise ValueError(
                f'num_heads={num_heads} must divide hidden_width={hidden_width} of the encoder.'
            )
        self.num_heads = num_heads
        self.pair_width = pair_width
        self.word_norm, self.frame_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        # Query, residual, gate and logit of a word; key and value of a frame.
        self.word_proj = nn.Linear(width, 3 * hidden_width + 1)
        self.frame_proj = nn.Linear(width, 2 * hidden_width)
        self.position = nn.Parameter(torch.randn(max_frames, width) * 0.02)
        self.cosines = nn.Linear(max_frames, hidden_width)
        self.mixed = nn.Sequential(
            nn.LayerNorm(hidden_width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_width, pair_width),
        )
        self.word_logit = nn.Linear(pair_width, 1)
        self.out = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(pair_width, pair_width))

    def project_texts(self, texts: TextFeatures) -> Tokens:
        """Compute what depends on the texts alone, for N texts."""
        words = texts.words.to(self.word_proj.weight)
        projected = self.word_proj(self.word_norm(words))
        return Tokens(projected, F.normalize(words, dim=-1), texts.mask.to(words.device))

    def project_videos(self, videos: VideoFeatures) -> Tokens:
        """Compute what depends on the videos alone, for M videos.

        Raises:
            ValueError: if they have more frames than positions.
        """
        frames = videos.frames.to(self.frame_proj.weight)
        num_frames = frames.shape[1]
        if num_frames > len(self.position):
            raise ValueError(
                f'The videos have {num_frames} frames, and TokenPairEncoder has '
                f'{len(self.position)} positions. Give it max_frames={num_frames}.'
            )
        projected = self.frame_proj(self.frame_norm(frames) + self.position[:num_frames])
        return Tokens(projected, F.normalize(frames, dim=-1), videos.mask.to(frames.device))

    def forward(self, texts: Tokens, videos: Tokens) -> Tensor:
        """Encode pairs: one text with K videos, or K texts with one video, in each row.

        Args:
            texts: [n, 1 or K] projected texts of L words.
            videos: [n, K or 1] projected videos of F frames.

        Returns:
            Vectors of the pairs, [n, K, P].
        """
        attended = self._attend(texts, videos)
        hidden_width = attended.shape[-1]
        _, residual, gate, logit = texts.projected.split([*[hidden_width] * 3, 1], dim=-1)
        hidden = torch.addcmul(residual, attended, 1 + gate) + self._compare(texts, videos)
        hidden = self.mixed(hidden)  # [n, K, L, P]
        logits = (logit + self.word_logit(hidden)).squeeze(-1)
        weights = logits.masked_fill(~texts.mask, torch.finfo(logits.dtype).min).softmax(dim=-1)
        return self.out(torch.einsum('nkl,nklp->nkp', weights, hidden))

    def _attend(self, texts: Tokens, videos: Tokens) -> Tensor:
        """What each word reads from the frames, [n, K, L, d]."""
        key, value = (
            part.unflatten(-1, (self.num_heads, -1)) for part in videos.projected.chunk(2, dim=-1)
        )
        hidden_width = key.shape[-1] * self.num_heads
        query = texts.projected[..., :hidden_width].unflatten(-1, (self.num_heads, -1))
        logits = torch.einsum('nalhe,nbfhe->nabhlf', query / math.sqrt(key.shape[-1]), key)
        padded = ~videos.mask[:, None, :, None, None]
        weights = logits.masked_fill(padded, torch.finfo(logits.dtype).min).softmax(dim=-1)
        return torch.einsum('nabhlf,nbfhe->nablhe', weights, value).flatten(1, 2).flatten(-2)

    def _compare(self, texts: Tokens, videos: Tokens) -> Tensor:
        """What the cosines of words and frames add, [n, K, L, d]."""
        cosines = torch.einsum('nald,nbfd->nablf', texts.unit, videos.unit)
        cosines = COSINE_SCALE * cosines * videos.mask[:, None, :, None]
        weight = self.cosines.weight[:, : cosines.shape[-1]]
        return F.linear(cosines, weight, self.cosines.bias).flatten(1, 2)

    def encode_rows(self, rows: CandidateRows) -> PairVectors:
        """Encode the pairs of training rows; each text and video of them is projected once."""
        (texts, text_rows), (videos, video_rows) = (
            used.unique(return_inverse=True) for used in (rows.text_rows, rows.video_rows)
        )
        words = self.project_texts(rows.texts[texts])[text_rows]
        frames = self.project_videos(rows.videos[videos])[video_rows]
        return PairVectors(self(words, frames), rows.scores)
