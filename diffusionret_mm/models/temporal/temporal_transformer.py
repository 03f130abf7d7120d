"""The temporal transformer ("seqTransf")."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
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
        """Start from the first blocks and the positions of a text tower of open_clip.

        What the tower does not have, or has in another size, starts from random weights; a warning
        says what and why.

        Args:
            tower: module with `positional_embedding` [context, D] and `transformer.resblocks`.
        """
        if self.position_std is None:
            self._copy_positions(tower.positional_embedding)
        if self.init_from_text:
            self._copy_blocks(tower.transformer.resblocks)

    def _copy_positions(self, source: Tensor) -> None:
        own = self.position_embedding
        if own.shape[1] != source.shape[1]:
            _warn('positions start', f'it has a width of {source.shape[1]}, not {own.shape[1]}')
            return
        copied = min(len(own), len(source))
        own[:copied] = source[:copied]
        if copied < len(own):
            _warn(f'positions from {copied} on start', f'it has {copied} positions')

    def _copy_blocks(self, source: nn.ModuleList) -> None:
        own = self.transformer.resblocks
        if len(own) > len(source):
            _warn('blocks start', f'it has {len(source)} blocks, not {len(own)}')
            return
        reason = _difference(own[0].state_dict(), source[0].state_dict())
        if reason:
            _warn('blocks start', reason)
            return
        for block, other in zip(own, source, strict=False):
            block.load_state_dict(other.state_dict())

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


def _difference(own: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> str | None:
    """Why a block cannot start from another one, or None if it can."""
    if own.keys() != source.keys():
        return 'its blocks are of another kind'
    for name, tensor in own.items():
        if tensor.shape != source[name].shape:
            return f'{name} has the shape {list(source[name].shape)}, not {list(tensor.shape)}'
    return None


def _warn(what: str, reason: str) -> None:
    print_log(
        f'Temporal transformer: its {what} from random weights, not from the text tower: {reason}.',
        logger='current',
        level=logging.WARNING,
    )
