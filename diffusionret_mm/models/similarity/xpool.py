"""Text-conditioned frame pooling (X-Pool)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.models.similarity.blocks import score_in_blocks
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@dataclass(frozen=True)
class PreparedTexts:
    """What pooling needs of N texts.

    Args:
        pooled: end-of-text features, [N, D].
        queries: their projections, scaled for the softmax, [N, D].
    """

    pooled: Tensor
    queries: Tensor

    def __getitem__(self, rows: slice | Tensor) -> PreparedTexts:
        """Select texts."""
        return PreparedTexts(self.pooled[rows], self.queries[rows])


@dataclass(frozen=True)
class PreparedVideos:
    """What pooling needs of M videos.

    Args:
        frames: frame features, [M, F, D].
        keys: projected frames, [M, F, D].
        values: frames after the value and the output projection, [M, F, D].
        mask: True for real frames, [M, F].
    """

    frames: Tensor
    keys: Tensor
    values: Tensor
    mask: Tensor

    def __getitem__(self, rows: slice | Tensor) -> PreparedVideos:
        """Select videos; rows of shape [n, K] give fields of shape [n, K, F, ...]."""
        return PreparedVideos(
            self.frames[rows], self.keys[rows], self.values[rows], self.mask[rows]
        )


@MODELS.register_module()
class XPool(Similarity):
    """Cosine of each text and the video as pooled for that text (X-Pool, Gorti et al. 2022).

    With one layer norm LN1 for text t and frames f_n of a video, and a single head,

        a_n = softmax_n( <Wk LN1(f_n) + bk, Wq LN1(t) + bq> / sqrt(D) )
        u   = LN2( Wo sum_n a_n (Wv LN1(f_n) + bv) + bo )
        P   = LN3( u + Dropout(Wl u + bl) )
        S   = cos(t, P)

    A video is pooled by the text that it is scored with and by no other: pooling it by its own
    caption, as the published evaluations of T-MASS and TextDiff do, tells the right answer. Padded
    frames are left out of the softmax; published data has none, so there is no other rule. All
    matrices start as identities and all biases as 0, which is the published initialisation.

    The weights a sum to 1, so Wo and bo are applied to the frames once, before the sum; only Wl,
    behind a layer norm, has to see every pair. Pairs are computed in blocks: memory does not grow
    with their number beyond the scores themselves.

    Args:
        width: width D of texts and frames.
        dropout: p of Dropout.
        block_bytes: bound on the memory of a block. In training autograd keeps all blocks.
    """

    live_tensors = 5  # of shape [texts, videos, D], at the peak of a block

    def __init__(self, width: int = 512, dropout: float = 0.3, block_bytes: int = 16 << 20) -> None:
        super().__init__()
        self.width = width
        self.block_bytes = block_bytes
        self.q_proj, self.k_proj, self.v_proj, self.out_proj, self.linear = (
            identity_linear(width, width) for _ in range(5)
        )
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def prepare_texts(self, texts: TextFeatures) -> PreparedTexts:
        """Project N texts once."""
        queries = self.q_proj(self.norm1(texts.pooled)) / math.sqrt(self.width)
        return PreparedTexts(texts.pooled, queries)

    def prepare_videos(self, videos: VideoFeatures) -> PreparedVideos:
        """Project the frames of M videos once."""
        frames = self.norm1(videos.frames)
        values = self.out_proj(self.v_proj(frames))
        return PreparedVideos(videos.frames, self.k_proj(frames), values, videos.mask)

    def pool(self, queries: Tensor, videos: PreparedVideos) -> Tensor:
        """Pool videos for texts.

        Args:
            queries: of `PreparedTexts`: [N, D] pools each video for all N texts; [n, 1, 1, D]
                pools K videos chosen for each of n texts, and [m, 1, K, D] one for K texts.
            videos: M videos, whose leading dimensions broadcast with those of `queries`.

        Returns:
            Pooled videos P, shape [M, N, D], [n, K, 1, D] or [m, 1, K, D]; not normalised.
        """
        pooled = self.norm2(self.attention(queries, videos) @ videos.values)
        return self.norm3(pooled + self.dropout(self.linear(pooled)))

    def attention(self, queries: Tensor, videos: PreparedVideos) -> Tensor:
        """Weights of the frames for the texts, [M, N, F] and so on; arguments as of `pool`."""
        logits = queries @ videos.keys.transpose(-1, -2)
        lowest = torch.finfo(logits.dtype).min
        return logits.masked_fill(~videos.mask[..., None, :], lowest).softmax(dim=-1)

    def score(self, texts: PreparedTexts, videos: PreparedVideos) -> Tensor:
        """Score N prepared texts against M prepared videos in blocks, [N, M]."""
        return score_in_blocks(
            lambda rows, columns: self.score_block(texts[rows], videos[columns]),
            len(texts.pooled),
            len(videos.mask),
            max_pairs=self.max_pairs,
        )

    @property
    def max_pairs(self) -> int:
        """Pairs of a block that `block_bytes` has room for."""
        return self.block_bytes // (self.live_tensors * 4 * self.width)

    def score_block(self, texts: PreparedTexts, videos: PreparedVideos) -> Tensor:
        """Score n texts against m videos at once, [n, m]."""
        return pair_cosines(texts.pooled, self.pool(texts.queries, videos))

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text against every video.

        Args:
            texts: N texts.
            videos: M videos of F frames.

        Returns:
            Scores in [-1, 1], shape [N, M].
        """
        return self.score(self.prepare_texts(texts), self.prepare_videos(videos))

    @torch.no_grad()
    def score_gallery(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        frame_weights: Tensor | None = None,
        chunk_size: int = 64,
    ) -> Tensor:
        """Score whole galleries: `forward`, whose own blocks share what is computed once."""
        return self(texts.to(self.placement), videos.to(self.placement))

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Return the weights that pool the frames; see `Similarity.frame_attention`."""
        queries = self.prepare_texts(texts).queries[:, None]
        return self.attention(queries, self.prepare_videos(videos))[:, 0]


def pair_cosines(texts: Tensor, pooled: Tensor) -> Tensor:
    """Cosines of texts and the videos pooled for them.

    Args:
        texts: [N, D], one for all videos, or [M, N, D].
        pooled: videos pooled for each text, [M, N, D].

    Returns:
        Shape [N, M].
    """
    # The dot product of normalised vectors, without normalised copies of all pairs.
    dots = torch.einsum('nd,mnd->mn' if texts.dim() == 2 else 'mnd,mnd->mn', texts, pooled)
    norms = pooled.norm(dim=-1) * texts.norm(dim=-1)
    return (dots / norms.clamp(min=1e-12)).t()


def frame_cosines(texts: Tensor, frames: Tensor, mask: Tensor, num_frames: int) -> Tensor:
    """Cosines of texts and single frames, for weights that belong to a place in the video.

    Args:
        texts: [..., n, D].
        frames: [..., F, D], leading dimensions that broadcast with those of `texts`.
        mask: True for real frames, [..., F], bool.
        num_frames: the F that the weights are for.

    Returns:
        Cosines, 0 for padded frames, shape [..., n, F].

    Raises:
        ValueError: if there is another number of frames.
    """
    if frames.shape[-2] != num_frames:
        raise ValueError(
            f'Videos have {frames.shape[-2]} frames and the model has weights for {num_frames}; '
            'set num_frames of the model or of the data to the same.'
        )
    texts, frames = F.normalize(texts, dim=-1), F.normalize(frames, dim=-1)
    return (texts @ frames.transpose(-1, -2)) * mask[..., None, :]


def identity_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer that starts as an identity, cut off or filled up with zeros."""
    layer = nn.Linear(inputs, outputs)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
