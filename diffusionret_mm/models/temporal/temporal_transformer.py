"""The temporal transformer ("seqTransf")."""

from __future__ import annotations

from collections.abc import Sized
from functools import partial

import torch
from mmaction.registry import MODELS
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from diffusionret_mm.models.temporal.base import TemporalModule

MASKED_KEY = -1e6  # the published additive mask; exp of it is 0 in every float type


@MODELS.register_module()
class TemporalTransformer(TemporalModule):
    """Frames in the context of their video: transformer(u + positions) + u.

    Pre-norm blocks with QuickGELU; layer norms have an epsilon of 1e-12 (published code,
    `module_cross.py`).

    Args:
        width: width D of the frame features.
        num_layers: number of blocks.
        head_width: channels of an attention head.
        max_frames: number of positions.
        position_std: standard deviation of random positions. None leaves them to
            `init_from_text_tower`, which copies CLIP's (about 0.01 an entry, right for pre-trained
            features); features that are trained from scratch drown those and want 1.
        init_from_text: whether `init_from_text_tower` copies blocks; False trains from scratch.

    Raises:
        ValueError: if `width` is not a multiple of `head_width`.
    """

    def __init__(
        self,
        width: int = 512,
        num_layers: int = 4,
        head_width: int = 64,
        max_frames: int = 77,
        position_std: float | None = None,
        init_from_text: bool = True,
    ) -> None:
        super().__init__()
        if width % head_width:
            raise ValueError(f'width {width} is not a multiple of head_width {head_width}.')
        self.max_frames = max_frames
        self.position_std = position_std
        self.init_from_text = init_from_text
        self.position_embedding = nn.Parameter(torch.empty(max_frames, width))
        nn.init.normal_(self.position_embedding, std=position_std or 0.01)
        self.transformer = Transformer(
            width=width,
            layers=num_layers,
            heads=width // head_width,
            act_layer=QuickGELU,
            norm_layer=partial(nn.LayerNorm, eps=1e-12),
        )

    @torch.no_grad()
    def init_from_text_tower(self, tower: nn.Module) -> None:
        """Start from the first blocks and the positions of a CLIP text tower.

        Args:
            tower: module with `positional_embedding` [context, D] and `transformer.resblocks`.

        Raises:
            ValueError: if it has fewer blocks or positions than are to be copied.
            RuntimeError: if it has another width.
        """
        positions = tower.positional_embedding
        if self.position_std is None:
            _check_size('positions', self.position_embedding, positions)
            self.position_embedding.copy_(positions[: len(self.position_embedding)])
        if self.init_from_text:
            _check_size('blocks', self.transformer.resblocks, tower.transformer.resblocks)
            for own, source in zip(
                self.transformer.resblocks, tower.transformer.resblocks, strict=False
            ):
                own.load_state_dict(source.state_dict())

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Put frames into context.

        Args:
            frames: frame features, shape [B, F, D], float.
            mask: True for real frames, shape [B, F], bool. Padded frames are never attended to,
                but get features of their own (the published text-frame attention reads them).

        Returns:
            Features of the same shape.

        Raises:
            ValueError: if there are more frames than positions.
        """
        return self.attend(self.add_positions(frames), mask) + frames

    def add_positions(self, tokens: Tensor) -> Tensor:
        """Add the position embeddings to tokens [B, F, D].

        Raises:
            ValueError: if there are more tokens than positions.
        """
        num_tokens = tokens.shape[1]
        if num_tokens > len(self.position_embedding):
            raise ValueError(
                f'{num_tokens} frames per video, but the temporal transformer has '
                f'{len(self.position_embedding)} positions; raise max_frames.'
            )
        return tokens + self.position_embedding[:num_tokens]

    def attend(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run the blocks on tokens with positions, [B, F, D]; `mask` as of `forward`."""
        return self.transformer(x, attn_mask=self._attention_mask(mask, x.dtype))

    def _attention_mask(self, mask: Tensor, dtype: torch.dtype) -> Tensor | None:
        if not torch.onnx.is_in_onnx_export() and mask.all():  # a graph has no branches
            return None
        heads = self.transformer.resblocks[0].attn.num_heads
        additive = (~mask).to(dtype)[:, None, :] * MASKED_KEY
        return additive.expand(-1, mask.shape[1], -1).repeat_interleave(heads, dim=0)


def _check_size(kind: str, own: Sized, source: Sized) -> None:
    if len(own) > len(source):
        raise ValueError(
            f'The temporal transformer has {len(own)} {kind} and cannot start from a text tower '
            f'with {len(source)}; lower max_frames or num_layers, or train it from scratch '
            '(position_std=1.0, init_from_text=False).'
        )
