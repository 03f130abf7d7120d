"""Sentences to token ids, with the mask of what are words."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import open_clip
import torch
from huggingface_hub import constants
from mmengine.logging import print_log
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.passport import CLIP_TOKENIZER
from diffusionret_mm.storage.hub import is_cached, size_on_hub

# What a tokenizer of the hub consists of.
FILES = ('tokenizer.json', 'tokenizer_config.json')
# OpenAI's tokenizer spells its special tokens otherwise than open_clip's, in captions too.
SPECIAL_TOKENS = {'<|startoftext|>': '<start_of_text>', '<|endoftext|>': '<end_of_text>'}


class TokenizerError(ValueError):
    """A tokenizer's files are missing or do not fit the encoder."""


class CaptionTokenizer(ABC):
    """A tokenizer of open_clip, and which of its ids are words.

    Args:
        pad_to: length that texts are padded to, whatever `max_words`: towers that read padding need
            their whole context. None: to `max_words`.
        vocabulary: number of ids that the text tower knows; None: not checked.
    """

    pad_id = 0
    """Id of padding."""

    def __init__(self, pad_to: int | None = None, vocabulary: int | None = None) -> None:
        self.pad_to = pad_to
        self.vocabulary = vocabulary

    @abstractmethod
    def ids(self, captions: Sequence[str], max_words: int) -> Tensor:
        """Return token ids [N, max_words] int64; longer texts are cut, shorter ones are padded."""

    @abstractmethod
    def num_words(self, ids: Tensor) -> Tensor:
        """Return how many of the ids [N, L] are words, start and end of text included, [N]."""

    @abstractmethod
    def names(self, ids: Sequence[int]) -> list[str]:
        """Return each id as text."""

    def tokenize(self, captions: Sequence[str], max_words: int) -> tuple[Tensor, Tensor]:
        """Tokenise captions, empty ones too.

        Args:
            captions: N sentences. The tokenizer cleans them.
            max_words: tokens of a text at most, start and end of text included; longer ones are
                cut.

        Returns:
            ids [N, L] int64 and the mask of words [N, L] bool; L is `pad_to`, or `max_words`.

        Raises:
            TokenizerError: if an id is none of the text tower's.
        """
        ids = self.ids(list(captions), max_words)
        if self.vocabulary is not None and ids.max() >= self.vocabulary:
            raise TokenizerError(
                f'The tokenizer gives the id {int(ids.max()):,}, and the text tower knows '
                f'{self.vocabulary:,}: it is the tokenizer of another model.'
            )
        words = self.num_words(ids).clamp(min=1)
        length = self.pad_to or max_words
        ids = F.pad(ids, (0, length - max_words), value=self.pad_id)
        return ids, torch.arange(length) < words[:, None]

    def token_names(self, caption: str, max_words: int) -> list[str]:
        """Return the words of a caption as text, start and end of text included.

        Args:
            caption: a sentence.
            max_words: as of `tokenize`.
        """
        ids, mask = self.tokenize([caption], max_words)
        return self.names(ids[mask].tolist())


class CLIPTokenizer(CaptionTokenizer):
    """CLIP's byte pair encoding.

    Args:
        options: further arguments of `open_clip.SimpleTokenizer`.
        **kwargs: of `CaptionTokenizer`.
    """

    def __init__(self, options: Mapping[str, Any] | None = None, **kwargs: int | None) -> None:
        super().__init__(**kwargs)
        self.tokenizer = open_clip.SimpleTokenizer(**dict(options or {}))

    def ids(self, captions: Sequence[str], max_words: int) -> Tensor:
        """Return token ids; see `CaptionTokenizer.ids`."""
        for openai, ours in SPECIAL_TOKENS.items():
            captions = [caption.replace(openai, ours) for caption in captions]
        return self.tokenizer(captions, context_length=max_words)

    def num_words(self, ids: Tensor) -> Tensor:
        """Count up to the last end of text: a caption may spell it out, so the last one ends it."""
        return ids.shape[1] - ids.flip(1).argmax(dim=1)

    def names(self, ids: Sequence[int]) -> list[str]:
        """Return each id as text; a part of a character is shown as a replacement sign."""
        names = [self.tokenizer.decode([token]).strip() for token in ids]
        return ['[start]', *names[1:-1], '[end]']


class HubTokenizer(CaptionTokenizer):
    """A tokenizer of the Hugging Face hub, as open_clip runs it.

    Args:
        name: repository on the hub.
        folder: local folder that holds its files, or one of them; None fetches them.
        options: further arguments of open_clip's `HFTokenizer`.
        **kwargs: of `CaptionTokenizer`.

    Raises:
        TokenizerError: if the files are not there or cannot be fetched; it says what to do.
    """

    def __init__(
        self,
        name: str,
        folder: str | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: int | None,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        source = name if folder is None else _existing_folder(name, folder)
        try:
            if folder is None:
                _announce_download(name)
            self.tokenizer = open_clip.tokenizer.HFTokenizer(source, **dict(options or {}))
        except Exception as error:  # transformers raises errors of many classes
            raise TokenizerError(_missing(name, folder, error)) from error
        if self.tokenizer.tokenizer.pad_token_id is None:
            raise TokenizerError(_missing(name, folder, 'it names no padding token'))
        self.pad_id = self.tokenizer.tokenizer.pad_token_id

    def ids(self, captions: Sequence[str], max_words: int) -> Tensor:
        """Return token ids; see `CaptionTokenizer.ids`."""
        return self.tokenizer(list(captions), context_length=max_words)

    def num_words(self, ids: Tensor) -> Tensor:
        """Count what stands before the padding; where padding is the end of text, one of it."""
        padding = (ids == self.pad_id).flip(1).cumprod(dim=1).sum(dim=1)
        words = ids.shape[1] - padding
        ends_text = self.pad_id == self.tokenizer.tokenizer.eos_token_id
        return words + (padding > 0) if ends_text else words

    def names(self, ids: Sequence[int]) -> list[str]:
        """Return each id as the tokenizer spells it, without its sign for a space."""
        spelled = self.tokenizer.tokenizer.convert_ids_to_tokens(list(ids))
        return [str(name).replace('▁', ' ').strip() or '▁' for name in spelled]


def load_tokenizer(settings: Mapping[str, Any] | None = None) -> CaptionTokenizer:
    """Load a tokenizer, once per process.

    Args:
        settings: `name` ('CLIP' by default), `folder`, `options`, `pad_to` and `vocabulary`, as
            `Passport.tokenizer_settings` gives them. None: CLIP's byte pair encoding.

    Raises:
        TokenizerError: if its files are not there or cannot be fetched.
        TypeError: if a setting has another name.
    """
    return _load(json.dumps(dict(settings or {}), sort_keys=True))


@lru_cache(maxsize=8)
def _load(settings: str) -> CaptionTokenizer:
    found = json.loads(settings)
    name = found.pop('name', CLIP_TOKENIZER)
    return CLIPTokenizer(**found) if name == CLIP_TOKENIZER else HubTokenizer(name, **found)


def _announce_download(name: str) -> None:
    """Log the download of a tokenizer, before it is.

    Raises:
        HubError: if the hub cannot be reached.
    """
    if any(is_cached(name, file) for file in FILES):
        return
    sizes = [size_on_hub(name, file) for file in FILES]
    size = f' ({sum(filter(None, sizes)) / 1e6:,.1f} MB)' if any(sizes) else ''
    print_log(
        f'The tokenizer {name} is downloaded from the Hugging Face hub{size} to '
        f'{constants.HF_HUB_CACHE}.',
        logger='current',
    )


def _existing_folder(name: str, folder: str) -> str:
    path = Path(folder)
    if not path.exists():
        raise TokenizerError(_missing(name, folder, 'it does not exist'))
    return str(path if path.is_dir() else path.parent)


def _missing(name: str, folder: str | None, reason: object) -> str:
    wanted = f'{" and ".join(FILES)} of https://huggingface.co/{name}'
    text = str(reason).strip().splitlines()
    short = f'{text[0][:200] if text else type(reason).__name__}'
    if folder is None:
        return (
            f'The tokenizer {name} could not be fetched from the Hugging Face hub ({short}). Put '
            f'{wanted} into a folder, and give it: --cfg-options model.backbone.tokenizer=FOLDER'
        )
    return f'{folder} holds no tokenizer ({short}). It must hold {wanted}.'
