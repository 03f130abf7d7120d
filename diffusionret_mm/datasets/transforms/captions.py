"""Captions to token ids."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import open_clip
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from torch import Tensor

# OpenAI's tokenizer spells its special tokens otherwise than open_clip's, in captions too.
SPECIAL_TOKENS = {'<|startoftext|>': '<start_of_text>', '<|endoftext|>': '<end_of_text>'}


@lru_cache(maxsize=1)
def clip_tokenizer() -> open_clip.SimpleTokenizer:
    """Return CLIP's byte pair encoding, built once."""
    return open_clip.SimpleTokenizer()


def tokenize(captions: list[str], max_words: int) -> tuple[Tensor, Tensor]:
    """Tokenise captions with CLIP's byte pair encoding.

    Args:
        captions: N sentences. They are cleaned and lower-cased.
        max_words: number L of tokens, start and end of text included; longer ones are cut.

    Returns:
        ids [N, L] int64, padded with 0, and the mask of real tokens [N, L] bool.

    Raises:
        ValueError: if a caption is empty, naming its number.

    Examples:
        >>> tokenize(['a red square'], max_words=6)
        (tensor([[49406,   320,   736,  3999, 49407,     0]]),
         tensor([[ True,  True,  True,  True,  True, False]]))
    """
    for number, caption in enumerate(captions):
        if not caption.strip():
            raise ValueError(f'Caption {number} is empty; a text to retrieve by must have words.')
    return token_ids(captions, max_words)


def token_ids(captions: list[str], max_words: int) -> tuple[Tensor, Tensor]:
    """Tokenise as `tokenize` does, empty captions too: start and end of text alone."""
    for openai, ours in SPECIAL_TOKENS.items():
        captions = [caption.replace(openai, ours) for caption in captions]
    ids = clip_tokenizer()(captions, context_length=max_words)
    # The end-of-text token has the largest id; a caption may spell it out, so the last one ends it.
    padding = ids.flip(1).argmax(dim=1, keepdim=True)
    return ids, torch.arange(max_words) < max_words - padding


def draw_captions(num_captions: int, wanted: int, item_seed: Sequence[int]) -> np.ndarray:
    """Draw captions of an item.

    Args:
        num_captions: number of captions that it has.
        wanted: number to draw; with repetition if it has fewer.
        item_seed: what the draw depends on.

    Returns:
        Numbers of captions, shape [wanted], int64.
    """
    rng = np.random.default_rng([*item_seed, 0])
    return rng.choice(num_captions, size=wanted, replace=wanted > num_captions)


@TRANSFORMS.register_module()
class TokenizeCaptions(BaseTransform):
    """Draw captions if the data set asks for it, and tokenise them.

    Required keys: captions. Used if present: captions_per_video and item_seed
    (`TextVideoDataset` sets both).
    Modified keys: captions. Added keys: ids [C, L] int64, text_mask [C, L] bool.

    Args:
        max_words: number L of tokens, start and end of text included.
    """

    def __init__(self, max_words: int = 32) -> None:
        if max_words < 3:
            raise ValueError(f'max_words must be at least 3; got {max_words}.')
        self.max_words = max_words

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ids and their mask."""
        wanted = results.get('captions_per_video')
        if wanted is not None:
            captions = results['captions']
            drawn = draw_captions(len(captions), wanted, results['item_seed'])
            results['captions'] = [captions[index] for index in drawn]
        try:
            results['ids'], results['text_mask'] = tokenize(results['captions'], self.max_words)
        except ValueError as error:
            raise ValueError(f'Video {results.get("video_id")!r}: {error}') from error
        return results
