"""Words and frames from any CLIP of open_clip."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn

from diffusionret_mm.models.backbones.base import TextVideoBackbone

MAX_LOG_SCALE = math.log(100.0)


@MODELS.register_module()
class OpenCLIPBackbone(TextVideoBackbone):
    """CLIP with all token features of the text tower and one feature per frame.

    Nothing is normalised: the similarity decides (DiffusionRet, Section 3.1 and supplement A.1).
    Pre-trained weights are loaded by `init_weights`, so a model that gets a checkpoint of its own
    never downloads them.

    Args:
        arch: name of an open_clip model, such as 'ViT-B-32-quickgelu' (OpenAI's weights need the
            quickgelu variants), or the keyword arguments of `open_clip.CLIP` (`embed_dim`,
            `vision_cfg`, `text_cfg`, `quick_gelu`) for a size of one's own.
        pretrained: tag of open_clip ('openai', 'laion2b_s34b_b79k'), path of a weight file
            (open_clip, OpenAI's archive, safetensors), or None for random weights.
        cache_dir: folder for downloaded weights; None takes the hub's default.
        freeze_patch_embedding: whether the convolution that cuts patches keeps its weights, as in
            the published training. Must be False when trained from scratch.
        with_cp: whether activations inside a transformer block are computed again in the backward
            pass in place of being kept: a fraction of the memory for a third more time.
        word_std: standard deviation of random word embeddings and word positions. None leaves
            open_clip's (0.02 and 0.01), which take long to train from scratch.
        patch_position_std: the same for the positions of patches; open_clip's is 1 / sqrt(width).

    Raises:
        ValueError: if `arch` is unknown to open_clip.
        NotImplementedError: if its text tower is not open_clip's own transformer.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'ViT-B-32-quickgelu',
        pretrained: str | None = None,
        cache_dir: str | None = None,
        freeze_patch_embedding: bool = True,
        with_cp: bool = False,
        word_std: float | None = None,
        patch_position_std: float | None = None,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.pretrained = pretrained
        self.cache_dir = cache_dir
        self.clip = _build_clip(arch)
        self.clip.set_grad_checkpointing(with_cp)
        tower = self.text_tower
        if not hasattr(tower, 'token_embedding'):
            raise NotImplementedError(
                f'The text tower of {arch!r} ({type(tower).__name__}) is not the text transformer '
                'of open_clip; word features are defined for that one only.'
            )
        if word_std is not None:
            nn.init.normal_(tower.token_embedding.weight, std=word_std)
            nn.init.normal_(tower.positional_embedding, std=word_std)
        if patch_position_std is not None:
            nn.init.normal_(self.clip.visual.positional_embedding, std=patch_position_std)
        if freeze_patch_embedding and hasattr(self.clip.visual, 'conv1'):
            self.clip.visual.conv1.weight.requires_grad_(False)

    @property
    def text_tower(self) -> nn.Module:
        """The module that owns the text transformer and its embeddings."""
        return getattr(self.clip, 'text', self.clip)

    @property
    def embed_dim(self) -> int:
        """Width D of words and frames."""
        projection = self.text_tower.text_projection
        return projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]

    @property
    def logit_scale(self) -> Tensor:
        """The learned scale of similarities as a 0-d tensor, exp(parameter), at most 100."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=MAX_LOG_SCALE)
        return self.clip.logit_scale.exp().reshape(())

    def init_weights(self) -> None:
        """Load `pretrained`, if any.

        Raises:
            ValueError: if it is neither a file nor a tag of this architecture.
            RuntimeError: if it could not be downloaded or does not fit the architecture.
        """
        if self.pretrained is None:
            return
        path = _find_weights(self.arch, self.pretrained, self.cache_dir)
        try:
            open_clip.load_checkpoint(self.clip, path)
        except Exception as error:
            raise RuntimeError(
                f'{path} does not hold weights for the CLIP architecture {self.arch!r}: {error}'
            ) from error
        print_log(f'Loaded CLIP weights {self.pretrained!r} from {path}.', logger='current')

    def encode_words(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tokenised texts.

        A token attends to real tokens only, in a causal tower to those before it. So padding
        changes nothing, and the tower runs on L tokens, not on its full context length.

        Args:
            ids: CLIP token ids, shape [N, L], int64, L at most the context length (77).
            mask: True for real tokens, shape [N, L], bool.

        Returns:
            Token features [N, L, D], and those of the end-of-text token (largest id), [N, D].

        Raises:
            ValueError: if the texts are longer than the context.
        """
        tower = self.text_tower
        length = ids.shape[1]
        context = tower.positional_embedding.shape[0]
        if length > context:
            raise ValueError(
                f'Texts are padded to {length} tokens, but {self.arch!r} has a context of '
                f'{context}; lower max_words in the data pipeline.'
            )
        dtype = tower.transformer.get_cast_dtype()
        x = tower.token_embedding(ids).to(dtype) + tower.positional_embedding[:length].to(dtype)
        x = tower.ln_final(tower.transformer(x, attn_mask=self._attention_mask(mask)))
        projection = tower.text_projection
        words = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        return words, words[torch.arange(ids.shape[0], device=ids.device), ids.argmax(dim=-1)]

    def encode_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Encode frames, each by the class token of the image tower.

        Padded frames share one feature, that of an all-zero image, which is computed once.

        Args:
            frames: normalised images, shape [B, F, 3, H, W], float.
            mask: True for real frames, shape [B, F], bool.

        Returns:
            Frame features of shape [B, F, D].
        """
        exporting = torch.onnx.is_in_onnx_export()
        if exporting:  # a graph has no branches: all frames are encoded, padded ones as zeros
            frames = frames * mask[:, :, None, None, None]
        if exporting or mask.all():
            return self.clip.encode_image(frames.flatten(0, 1)).unflatten(0, mask.shape)
        images = torch.cat([frames[mask], frames.new_zeros(1, *frames.shape[2:])])
        encoded = self.clip.encode_image(images)
        rows = torch.full(mask.shape, len(images) - 1, device=mask.device)
        rows[mask] = torch.arange(len(images) - 1, device=mask.device)
        return encoded[rows]

    def _attention_mask(self, mask: Tensor) -> Tensor:
        """On real keys only, and causal where the tower is: additive, shape [N * heads, L, L]."""
        tower = self.text_tower
        num_texts, length = mask.shape  # not len(): an exported graph would keep the number
        additive = tower.positional_embedding.new_zeros(num_texts, length, length)
        if tower.attn_mask is not None:
            additive = additive + tower.attn_mask[:length, :length]
        additive = additive.masked_fill(~mask[:, None, :], float('-inf'))
        return additive.repeat_interleave(tower.transformer.resblocks[0].attn.num_heads, dim=0)


def _build_clip(arch: str | Mapping[str, Any]) -> nn.Module:
    if not isinstance(arch, str):
        return open_clip.CLIP(**arch)
    known = open_clip.list_models()
    if arch not in known:
        near = difflib.get_close_matches(arch, known, n=5, cutoff=0.3)
        raise ValueError(f'open_clip knows no architecture {arch!r}. Similar names: {near}.')
    # Where other modules are made, too: `with torch.device('meta')` takes no memory.
    return open_clip.create_model(arch, pretrained=None, device=torch.empty(0).device)


def _find_weights(arch: str | Mapping[str, Any], pretrained: str, cache_dir: str | None) -> str:
    if Path(pretrained).is_file():
        return pretrained
    tags = open_clip.list_pretrained_tags_by_model(arch) if isinstance(arch, str) else []
    if pretrained not in tags:
        raise ValueError(
            f'pretrained={pretrained!r} is neither an existing file nor a weight tag of {arch!r} '
            f'(tags: {tags}).'
        )
    try:
        config = open_clip.get_pretrained_cfg(arch, pretrained)
        return open_clip.download_pretrained(config, cache_dir=cache_dir)
    except Exception as error:
        raise RuntimeError(
            f'The weights {pretrained!r} of {arch!r} could not be downloaded '
            f'({type(error).__name__}: {error}). Fetch the file on a machine with internet and '
            'give its path: --cfg-options model.backbone.pretrained=/path/to/weights.pt'
        ) from error
