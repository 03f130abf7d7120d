"""A transformer over text and frames of each pair ("tightTransf")."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.models.similarity.blocks import score_in_blocks
from diffusionret_mm.models.temporal import TemporalTransformer
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Floats of a token that live at the peak of a block of the transformer, by its width: the stream,
# its norm, the three projections, and the hidden layer with its activation, four widths each.
LIVE_WIDTHS = 13


@MODELS.register_module()
class PairTransformer(Similarity):
    """Logit of each (text, video) pair from a transformer over both (CLIP4Clip, Section 3.3).

    With the end-of-text token t and frames f_1 ... f_F, in a pre-norm transformer like
    `TemporalTransformer` but without its residual,

        h = transformer(Dropout([t, f_1, ..., f_F] + positions))
        S = w . QuickGELU(W LN(h_0) + b) + c

    S is a logit, not a cosine: train it by `ContrastiveLoss` with `scaled=False`, as published.
    Every pair costs a pass of the transformer. Pairs are computed in blocks that bound the memory,
    in training too, where a block's activations are computed again in the backward pass. The
    published code contrasts the pairs of one process; here they are those of the global batch.

    Args:
        width: width D of texts and frames.
        num_layers: blocks of the transformer.
        head_width: channels of an attention head.
        max_frames: frames of a video, at most.
        dropout: p of Dropout.
        position_std: as of `TemporalTransformer`.
        init_from_text: as of `TemporalTransformer`.
        block_bytes: bound on the memory of a block of pairs.

    Raises:
        ValueError: if `width` is not a multiple of `head_width`.
    """

    def __init__(
        self,
        width: int = 512,
        num_layers: int = 4,
        head_width: int = 64,
        max_frames: int = 76,
        dropout: float = 0.1,
        position_std: float | None = None,
        init_from_text: bool = True,
        block_bytes: int = 64 << 20,
    ) -> None:
        super().__init__()
        self.encoder = TemporalTransformer(
            width, num_layers, head_width, max_frames + 1, position_std, init_from_text
        )
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dense = nn.Linear(width, width)
        self.activation = QuickGELU()
        self.logit = nn.Linear(width, 1)
        self.block_bytes = block_bytes
        for layer in (self.dense, self.logit):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def init_from_text_tower(self, tower: nn.Module) -> None:
        """Start the transformer from a CLIP text tower, as `TemporalTransformer` does."""
        self.encoder.init_from_text_tower(tower)

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text against every video.

        Args:
            texts: N texts.
            videos: M videos of F frames, at most `max_frames`.

        Returns:
            Logits, shape [N, M].

        Raises:
            ValueError: if there are more frames than positions.
        """
        tokens = 1 + videos.mask.shape[1]
        token_bytes = 4 * LIVE_WIDTHS * texts.pooled.shape[1]
        return score_in_blocks(
            lambda rows, columns: self._score_block(
                texts.pooled[rows], videos.frames[columns], videos.mask[columns]
            ),
            len(texts),
            len(videos),
            max_pairs=max(1, self.block_bytes // (tokens * token_bytes)),
        )

    @torch.no_grad()
    def score_gallery(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        frame_weights: Tensor | None = None,
        chunk_size: int = 64,
    ) -> Tensor:
        """Score whole galleries: `forward`, whose own blocks bound the memory."""
        return self(texts.to(self.placement), videos.to(self.placement))

    def _score_block(self, texts: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return checkpoint(self._score_pairs, texts, frames, mask, use_reentrant=False)
        return self._score_pairs(texts, frames, mask)

    def _score_pairs(self, texts: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Score n texts [n, D] against m videos [m, F, D] at once, [n, m]."""
        n, m = len(texts), len(frames)
        tokens = torch.cat(
            [
                texts[:, None, None].expand(-1, m, -1, -1),
                frames[None].expand(n, -1, -1, -1),
            ],
            dim=2,
        ).flatten(0, 1)
        real = torch.cat([mask.new_ones(m, 1), mask], dim=1).repeat(n, 1)
        hidden = self.encoder.attend(self.dropout(self.encoder.add_positions(tokens)), real)
        return self.logit(self.activation(self.dense(self.norm(hidden[:, 0])))).view(n, m)
