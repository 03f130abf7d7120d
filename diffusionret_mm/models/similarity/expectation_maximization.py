"""Similarity on features that are rebuilt from a few bases (EMCL-Net)."""

from __future__ import annotations

import math

import torch
from mmaction.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.generators import TextFrameAttentionHead
from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.structures import TextFeatures, VideoFeatures

EPSILON = 1e-6


@MODELS.register_module()
class EMSimilarity(Similarity):
    """Expectation-maximisation contrastive similarity (EMCL, Jin et al., NeurIPS 2022).

    Each video is pooled as each text sees it. Pooled videos and texts together are the rows of a
    matrix X, whose D columns an EM loop assigns to K bases. X + beta * (its reconstruction) gives
    the cosines. As in the published code (`until_module.py`) the bases live on the rows of the
    block, so the scores of a block depend a little on what else is in it. A training batch is one
    block; an evaluation takes blocks of `block_rows` texts by as many videos, in their order.
    `bases` are a buffer, which a checkpoint keeps (that of the published code does not).

    Args:
        num_bases: number K of bases.
        num_iterations: EM iterations.
        temperature: lambda of the assignment.
        weight: beta, the weight of the reconstruction.
        momentum: share of the bases that a training step keeps.
        attention_temperature: temperature of the pooling.
        block_rows: texts, and videos, of a block of `score_gallery` (published: 32).

    Raises:
        ValueError: if `num_bases`, `num_iterations` or `block_rows` is less than 1.
    """

    def __init__(
        self,
        num_bases: int = 32,
        num_iterations: int = 9,
        temperature: float = 1.0,
        weight: float = 3.0,
        momentum: float = 0.9,
        attention_temperature: float = 3.0,
        block_rows: int = 32,
    ) -> None:
        super().__init__()
        counts = dict(num_bases=num_bases, num_iterations=num_iterations, block_rows=block_rows)
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f'{name} must be at least 1; got {value}.')
        self.block_rows = block_rows
        self.num_iterations = num_iterations
        self.temperature = temperature
        self.weight = weight
        self.momentum = momentum
        self.attention = TextFrameAttentionHead(attention_temperature, masking='after_softmax')
        bases = torch.randn(1, num_bases) * math.sqrt(2 / num_bases)
        # The published norm runs over an axis of size 1, so every base starts at -1 or 1.
        self.register_buffer('bases', bases / (EPSILON + bases.abs()))

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text of a block against every video of it.

        Args:
            texts: N texts.
            videos: M videos.

        Returns:
            Scores in [-1, 1], shape [N, M].
        """
        num_texts, num_videos = len(texts), len(videos)
        pooled = self.attention(texts.pooled[:, None], videos.frames, videos.mask)
        rows = self._rebuild(torch.cat([pooled.flatten(0, 1), texts.pooled]))
        rows = F.normalize(rows, dim=-1)
        pooled = rows[: num_texts * num_videos].view(num_texts, num_videos, -1)
        return torch.einsum('nd,nmd->nm', rows[num_texts * num_videos :], pooled)

    @torch.no_grad()
    def score_gallery(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        frame_weights: Tensor | None = None,
        chunk_size: int = 64,
    ) -> Tensor:
        """Score whole galleries in blocks of `block_rows`, whatever else bounds the memory.

        Args:
            texts: N texts, the first of which starts a block.
            videos: all M videos of the gallery.
            frame_weights: not used: frames have none.
            chunk_size: not used: a block has `block_rows` texts and videos.

        Returns:
            Scores in [-1, 1], shape [N, M], of the device and dtype of the bases.
        """
        return super().score_gallery(texts, videos, chunk_size=self.block_rows)

    def _rebuild(self, rows: Tensor) -> Tensor:
        """Add the reconstruction from the bases; gradients flow through the rows alone."""
        x = rows.detach()
        bases = self.bases.expand(len(x), -1)
        for _ in range(self.num_iterations):
            shares = (x.t() @ bases / self.temperature).softmax(dim=1)
            shares = shares / (EPSILON + shares.sum(dim=0, keepdim=True))
            bases = x @ shares
            bases = bases / (EPSILON + bases.norm(dim=0, keepdim=True))
        if self.training:
            mean = bases.mean(dim=0, keepdim=True)
            self.bases.mul_(self.momentum).add_(mean, alpha=1 - self.momentum)
        return rows + self.weight * (bases @ shares.t())
