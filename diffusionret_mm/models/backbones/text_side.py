"""Texts of an open_clip model: its tokenizer, and all token features of its text tower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import open_clip
import torch
from open_clip.transformer import text_global_pool
from torch import Tensor, nn

from diffusionret_mm.datasets.tokenizers import CaptionTokenizer, load_tokenizer
from diffusionret_mm.passport import Passport


class TextSide:
    """Tokenises texts as a text tower was trained, and encodes them with it.

    Args:
        clip: the open_clip model; its parameters stay its own.
        passport: what its text tower wants.
    """

    def __init__(self, clip: nn.Module, passport: Passport) -> None:
        self.clip = clip
        self.passport = passport

    @property
    def tower(self) -> nn.Module:
        """The module that owns the text transformer and its embeddings."""
        return self.clip.text if isinstance(self.clip, open_clip.CustomTextCLIP) else self.clip

    @property
    def tokenizer(self) -> CaptionTokenizer:
        """The tokenizer.

        Raises:
            TokenizerError: if its files are not there or cannot be fetched.
        """
        return load_tokenizer(self.passport.tokenizer_settings)

    def tokenize(self, captions: Sequence[str], max_words: int) -> tuple[Tensor, Tensor]:
        """Tokenise captions; see `CaptionTokenizer.tokenize`."""
        return self.tokenizer.tokenize(captions, max_words)

    def encode(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tokenised texts.

        A tower that never sees padding runs on L tokens: a token attends to words only, in a
        causal tower to those before it. A tower that reads padding runs on its whole context.

        Args:
            ids: token ids, shape [N, L], int64.
            mask: True for words, shape [N, L], bool.

        Returns:
            Token features [N, L, D], and those of the token that stands for a text, [N, D].

        Raises:
            ValueError: if the texts are longer than the context, or do not fill it where they must.
        """
        self._check_length(ids.shape[1])
        tower = self.tower
        dtype = tower.transformer.get_cast_dtype()
        x = tower.token_embedding(ids).to(dtype)
        if self._has_class_token:
            x = torch.cat([x, tower.cls_emb.to(dtype).expand(x.shape[0], 1, -1)], dim=1)
        x = x + tower.positional_embedding[: x.shape[1]].to(dtype)
        x = tower.ln_final(tower.transformer(x, attn_mask=self._attention_mask(ids, mask)))
        projection = tower.text_projection
        if projection is not None:
            x = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        if self._has_class_token:
            return x[:, :-1], x[:, -1]
        return x, text_global_pool(x, ids, self.passport.pooling, self.passport.eos_id)

    @property
    def _has_class_token(self) -> bool:
        return self.passport.pooling == 'class token'

    def _check_length(self, length: int) -> None:
        context, arch = self.passport.context_length, self.passport.arch
        if length > context:
            raise ValueError(
                f'Texts are padded to {length} tokens, but {arch!r} has a context of {context}; '
                'lower max_words in the data pipeline.'
            )
        if self.passport.fills_context and length != context:
            raise ValueError(
                f'{arch!r} reads padding, so texts must be padded to its context of {context} '
                f'tokens; got {length}. text_side.tokenize does it, and TokenizeCaptions with the '
                'tokenizer settings of the passport.'
            )

    def _attention_mask(self, ids: Tensor, mask: Tensor) -> Tensor | None:
        """Added to the logits: [N * heads, L, L], [L, L] or None."""
        tower: Any = self.tower  # of open_clip, with attributes of its own
        if self.passport.padding == 'attended':
            return tower.attn_mask
        if self._has_class_token:
            # CoCa's weights were trained with a mask of padding that is one position too late.
            mask = torch.cat([torch.ones_like(mask[:, :1]), ids != tower.pad_id], dim=1)
        num_texts, length = mask.shape  # not len(): an exported graph would keep the number
        additive = tower.positional_embedding.new_zeros(num_texts, length, length)
        if tower.attn_mask is not None:
            additive = additive + tower.attn_mask[:length, :length]
        additive = additive.masked_fill(~mask[:, None, :], float('-inf'))
        return additive.repeat_interleave(tower.transformer.resblocks[0].attn.num_heads, dim=0)
