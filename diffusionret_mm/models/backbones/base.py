"""What every backbone offers to the rest of the package."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from diffusionret_mm.datasets.tokenizers import CaptionTokenizer, load_tokenizer
from diffusionret_mm.passport import Passport


class TextVideoBackbone(BaseModule):
    """Encodes words and frames into one space. Pre-trained weights are loaded by `init_weights`."""

    passport: Passport | None = None
    """What it wants of texts and frames. None: CLIP's tokenizer, and frames of any size that the
    data preprocessor normalises as for CLIP."""

    preprocessor: str = 'RetrievalDataPreprocessor'
    """The data preprocessor that makes its batches, unless a config has another."""

    @classmethod
    def read_passport(cls, config: Mapping[str, Any]) -> Passport | None:
        """Return the passport that a backbone of a config has, without building it.

        Args:
            config: arguments of the class; `type` is passed over.
        """
        return None

    @property
    def tokenizer(self) -> CaptionTokenizer:
        """The tokenizer of its texts.

        Raises:
            TokenizerError: if its files are not there or cannot be fetched.
        """
        return load_tokenizer(self.passport.tokenizer_settings if self.passport else None)

    @property
    def is_pretrained(self) -> bool:
        """Whether `init_weights` gives all its parameters pre-trained weights.

        By default only a backbone without parameters is: it has nothing to learn.
        """
        return next(self.parameters(), None) is None

    @property
    @abstractmethod
    def embed_dim(self) -> int:
        """Width D of words and frames."""

    @property
    @abstractmethod
    def logit_scale(self) -> Tensor:
        """What a contrastive loss multiplies similarities by, a 0-d tensor."""

    @property
    def text_tower(self) -> nn.Module | None:
        """A CLIP text tower that other transformers start from, if the backbone has one.

        It has `positional_embedding` [context, D] and `transformer.resblocks`.
        """
        return None

    @abstractmethod
    def encode_words(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tokenised texts.

        Args:
            ids: token ids, shape [N, L], int64.
            mask: True for real tokens, shape [N, L], bool.

        Returns:
            Token features [N, L, D], and one feature per text [N, D].
        """

    @abstractmethod
    def encode_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Encode normalised frames.

        Args:
            frames: shape [B, F, 3, H, W], float.
            mask: True for real frames, shape [B, F], bool.

        Returns:
            Frame features, shape [B, F, D].
        """
