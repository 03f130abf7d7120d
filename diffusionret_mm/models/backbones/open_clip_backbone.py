"""Words and frames from any dual encoder of open_clip."""

from __future__ import annotations

import inspect
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
from diffusionret_mm.models.backbones.image_towers import (
    patch_embedding,
    patch_positions,
    stop_batch_norm,
)
from diffusionret_mm.models.backbones.text_side import TextSide
from diffusionret_mm.models.backbones.weights import find_weights, load_weights
from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.passport import (
    Passport,
    model_config,
    preprocessings_differ,
    read_passport,
    tags_of,
)

MAX_LOG_SCALE = math.log(100.0)

# Pixels that a core of a CPU encodes at a time, without gradient: 8 images of 256 x 256. What the
# tower makes of many more does not fit the caches, and is too large for the C library to keep.
CPU_PIXELS = 8 * 256 * 256


@MODELS.register_module()
class OpenCLIPBackbone(TextVideoBackbone):
    """A dual encoder with all token features of the text tower and one feature per frame.

    Nothing is normalised: the similarity decides (DiffusionRet, Section 3.1 and supplement A.1).
    Pre-trained weights are loaded by `init_weights`, so a model that gets a checkpoint of its own
    never downloads them. The passport says how texts are tokenised and frames are resized and
    normalised; it is read from open_clip's configs.

    Args:
        arch: name of an open_clip model, such as 'PE-Core-B-16', or the keyword arguments of
            `open_clip.CLIP` (`embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu`) for a size of
            one's own.
        pretrained: tag of open_clip ('openai', 'laion2b_s34b_b79k'), path of a weight file
            (open_clip, OpenAI's archive, safetensors), or None for random weights.
        tag: tag whose weights the file of `pretrained` holds. It is needed where the tags of an
            architecture want frames read in different ways.
        tokenizer: local folder of the tokenizer's files, or one of them; None fetches them from the
            Hugging Face hub, if the architecture has a tokenizer of its own.
        quick_gelu: whether the towers have QuickGELU; None takes what the weights of the tag were
            trained with, or else what `arch` says.
        cache_dir: folder for downloaded weights; None takes the hub's default.
        freeze_patch_embedding: whether the convolution that cuts patches keeps its weights, as in
            the published training. None freezes it where the image tower has one. It must be False
            when a tower is trained from scratch.
        norm_eval: whether batch norms keep their statistics in training. False makes the feature of
            a frame depend on the other frames of its batch.
        with_cp: whether activations inside a transformer block are computed again in the backward
            pass in place of being kept: a fraction of the memory for a third more time.
        word_std: standard deviation of random word embeddings and word positions. None leaves
            open_clip's (0.02 and 0.01), which take long to train from scratch.
        patch_position_std: the same for the positions of patches; open_clip's is 1 / sqrt(width).

    Raises:
        ValueError: if `arch` is unknown to open_clip, the weights leave open how frames are read,
            or an option asks for a part that the image tower does not have.
        UnsupportedEncoderError: if the text tower is one of the transformers library.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] = 'ViT-B-32-quickgelu',
        pretrained: str | None = None,
        tag: str | None = None,
        tokenizer: str | None = None,
        quick_gelu: bool | None = None,
        cache_dir: str | None = None,
        freeze_patch_embedding: bool | None = None,
        norm_eval: bool = True,
        with_cp: bool = False,
        word_std: float | None = None,
        patch_position_std: float | None = None,
    ) -> None:
        super().__init__()
        self.arch = arch
        self.pretrained = pretrained
        self.cache_dir = cache_dir
        self.norm_eval = norm_eval
        self.passport: Passport = _passport(arch, pretrained, tag, tokenizer, quick_gelu)
        self.clip = _build_clip(arch, self.passport.quick_gelu)
        self.text_side = TextSide(self.clip, self.passport)
        if with_cp:
            self.clip.set_grad_checkpointing(True)
        if word_std is not None:
            nn.init.normal_(self.text_tower.token_embedding.weight, std=word_std)
            nn.init.normal_(self.text_tower.positional_embedding, std=word_std)
        if patch_position_std is not None:
            nn.init.normal_(self._patch_positions(), std=patch_position_std)
        if freeze_patch_embedding is not False:
            self._freeze_patch_embedding(required=freeze_patch_embedding is True)

    @classmethod
    def read_passport(cls, config: Mapping[str, Any]) -> Passport:
        """Return the passport that a backbone of a config has, without building it.

        Args:
            config: arguments of the class; `type` is passed over.

        Raises:
            ValueError, UnsupportedEncoderError: as the class itself.
        """
        given = {key: value for key, value in config.items() if key != 'type'}
        bound = inspect.signature(cls).bind(**given)
        bound.apply_defaults()
        names = ('arch', 'pretrained', 'tag', 'tokenizer', 'quick_gelu')
        return _passport(*(bound.arguments[name] for name in names))

    @property
    def text_tower(self) -> nn.Module:
        """The module that owns the text transformer and its embeddings."""
        return self.text_side.tower

    def train(self, mode: bool = True) -> OpenCLIPBackbone:
        """Set the mode; with `norm_eval` batch norms stay in that of evaluation."""
        super().train(mode)
        if self.norm_eval:
            stop_batch_norm(self.clip)
        return self

    @property
    def is_pretrained(self) -> bool:
        """Whether `pretrained` names weights."""
        return self.pretrained is not None

    @property
    def embed_dim(self) -> int:
        """Width D of words and frames."""
        return self.passport.embed_dim

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
        count = sum(parameter.numel() for parameter in self.clip.parameters())
        path = find_weights(self.arch, self.pretrained, self.cache_dir, count)
        load_weights(self.clip, self.arch, path)
        print_log(f'Loaded CLIP weights {self.pretrained!r} from {path}.', logger='current')
        if self.passport.quick_gelu != self.passport.arch_quick_gelu:
            name = 'QuickGELU' if self.passport.quick_gelu else 'GELU'
            print_log(
                f'{self.arch!r} runs with {name}, with which {self.pretrained!r} was trained.',
                logger='current',
            )

    def encode_words(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode tokenised texts; see `TextSide.encode`."""
        return self.text_side.encode(ids, mask)

    def encode_frames(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Encode frames, each into one feature of the image tower.

        Padded frames share one feature, that of an all-zero image, which is computed once.

        Args:
            frames: normalised images, shape [B, F, 3, H, W], float.
            mask: True for real frames, shape [B, F], bool.

        Returns:
            Frame features of shape [B, F, D].

        Raises:
            ValueError: if frames have another size than the tower reads.
        """
        self._check_size(tuple(frames.shape[-2:]))
        exporting = torch.onnx.is_in_onnx_export()
        if exporting:  # a graph has no branches: all frames are encoded, padded ones as zeros
            frames = frames * mask[:, :, None, None, None]
            return self.clip.encode_image(frames.flatten(0, 1)).unflatten(0, mask.shape)
        if mask.all():
            return self._encode_images(frames.flatten(0, 1)).unflatten(0, mask.shape)
        images = torch.cat([frames[mask], frames.new_zeros(1, *frames.shape[2:])])
        encoded = self._encode_images(images)
        rows = torch.full(mask.shape, len(images) - 1, device=mask.device)
        rows[mask] = torch.arange(len(images) - 1, device=mask.device)
        return encoded[rows]

    def _encode_images(self, images: Tensor) -> Tensor:
        """Encode images [N, 3, H, W] into [N, D]; on a CPU in small parts where it can be."""
        if torch.is_grad_enabled() or images.device.type != 'cpu':
            return self.clip.encode_image(images)
        parts = images.split(max(1, CPU_PIXELS // math.prod(images.shape[-2:])))
        return torch.cat(list(map_on_cores(self.clip.encode_image, parts, images.device)))

    def _check_size(self, size: tuple[int, int]) -> None:
        wanted = self.passport.image_size
        if size != wanted:
            raise ValueError(
                f'Frames have {size[0]} x {size[1]} pixels, but {self.passport.arch!r} reads '
                f'{wanted[0]} x {wanted[1]}; CLIPResizeCrop without a size makes them so.'
            )

    def _patch_positions(self) -> nn.Parameter:
        found = patch_positions(self.clip.visual)
        if found is None:
            raise ValueError(
                f'The image tower of {self.arch!r} has no learned positions of patches; leave '
                'patch_position_std out.'
            )
        return found

    def _freeze_patch_embedding(self, required: bool) -> None:
        found = patch_embedding(self.clip.visual)
        if found is not None:
            found.requires_grad_(False)
        elif required:
            raise ValueError(
                f'The image tower of {self.arch!r} has no convolution that cuts patches; leave '
                'freeze_patch_embedding out, or set it to False.'
            )


def _passport(
    arch: str | Mapping[str, Any],
    pretrained: str | None,
    tag: str | None,
    tokenizer: str | None,
    quick_gelu: bool | None,
) -> Passport:
    """The passport of weights that are a tag, or a file that may hold those of `tag`."""
    is_file = pretrained is not None and Path(pretrained).is_file()
    if pretrained in tags_of(arch) and not is_file:
        tag = pretrained
    elif is_file and tag is None and preprocessings_differ(arch):
        raise ValueError(
            f'The weights of {arch!r} want frames read in different ways; say by '
            f'model.backbone.tag which of them {pretrained} holds: {tags_of(arch)}.'
        )
    return read_passport(arch, tag, quick_gelu, tokenizer)


def _build_clip(arch: str | Mapping[str, Any], quick_gelu: bool) -> nn.Module:
    """Build the two towers; of CoCa without the decoder, which retrieval does not use."""
    config = model_config(arch)
    is_coca = config.pop('multimodal_cfg', None) is not None
    if isinstance(arch, str) and not is_coca:
        # Where other modules are made, too: `with torch.device('meta')` takes no memory.
        device = torch.empty(0).device
        return open_clip.create_model(arch, pretrained=None, device=device, quick_gelu=quick_gelu)
    custom = config.pop('custom_text', False) or config['text_cfg'].get('embed_cls', False)
    for tower in ('vision_cfg', 'text_cfg'):
        config[tower] = dict(config[tower], output_tokens=False)
    model = open_clip.CustomTextCLIP if custom else open_clip.CLIP
    return model(**dict(config, quick_gelu=quick_gelu))
