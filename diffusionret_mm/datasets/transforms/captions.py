"""Captions to token ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from diffusionret_mm.datasets.tokenizers import load_tokenizer
from diffusionret_mm.datasets.transforms.base import FollowsBackbone
from diffusionret_mm.passport import CLIP_TOKENIZER, Passport


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


def refuse_empty(captions: Sequence[str]) -> None:
    """Refuse captions without a word.

    Raises:
        ValueError: if a caption is empty, naming its number.
    """
    for number, caption in enumerate(captions):
        if not caption.strip():
            raise ValueError(f'Caption {number} is empty; a text to retrieve by must have words.')


@TRANSFORMS.register_module()
class TokenizeCaptions(FollowsBackbone, BaseTransform):
    """Draw captions if the data set asks for it, and tokenise them.

    Required keys: captions. Used if present: captions_per_video and item_seed
    (`TextVideoDataset` sets both).
    Modified keys: captions, and answers if present. Added keys: ids [C, L] int64, text_mask [C, L]
    bool, tokenizer (its name, which the data preprocessor compares with that of the backbone).

    Args:
        max_words: number of tokens at most, start and end of text included. L is that, or the whole
            context of a backbone that reads padding.
        tokenizer: settings of `load_tokenizer`. The tools take them from the backbone; None is
            CLIP's byte pair encoding.

    Raises:
        ValueError: if `max_words` is below 3.
        TokenizerError: if the files of the tokenizer are not there or cannot be fetched.
    """

    def __init__(self, max_words: int = 32, tokenizer: Mapping[str, Any] | None = None) -> None:
        if max_words < 3:
            raise ValueError(f'max_words must be at least 3; got {max_words}.')
        self.max_words = max_words
        self.settings = dict(tokenizer or {})
        load_tokenizer(self.settings)

    @classmethod
    def follow(cls, config: Mapping[str, Any], passport: Passport) -> dict[str, Any]:
        """Take tokenizer and context from the backbone; see `FollowsBackbone.follow`."""
        wanted = passport.tokenizer_settings
        given = config.get('tokenizer')
        if given is not None and dict(given) != wanted:
            raise ValueError(
                f'TokenizeCaptions has tokenizer={dict(given)}, but {passport.arch!r} takes '
                f'{wanted or "the one of CLIP"}. Leave it out: it follows the backbone.'
            )
        filled = dict(config)
        if config.get('max_words', 32) > passport.context_length:
            filled['max_words'] = passport.context_length
        return filled | dict(tokenizer=wanted) if wanted else filled

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ids and their mask."""
        wanted = results.get('captions_per_video')
        if wanted is not None:
            drawn = draw_captions(len(results['captions']), wanted, results['item_seed'])
            for key in ('captions', 'answers'):
                if key in results:
                    results[key] = [results[key][index] for index in drawn]
        try:
            refuse_empty(results['captions'])
        except ValueError as error:
            raise ValueError(f'Video {results.get("video_id")!r}: {error}') from error
        tokenizer = load_tokenizer(self.settings)
        results['ids'], results['text_mask'] = tokenizer.tokenize(
            results['captions'], self.max_words
        )
        results['tokenizer'] = self.settings.get('name', CLIP_TOKENIZER)
        return results
