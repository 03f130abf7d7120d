"""What an encoder of open_clip wants of texts and frames, and how it reads them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import open_clip
from open_clip.model import CLIPTextCfg
from open_clip.transform import PreprocessCfg, merge_preprocess_dict

# The tokenizer of towers that name none: CLIP's byte pair encoding.
CLIP_TOKENIZER = 'CLIP'
CLIP_VOCABULARY = 49408
# Architectures of one's own sizes, whose config has no name.
CUSTOM = 'custom'
# Fields that say which encoder it is. The others say what it computes.
NAMES = ('arch', 'weights', 'tokenizer_folder', 'arch_quick_gelu')


class UnsupportedEncoderError(ValueError):
    """An encoder of open_clip that cannot be used here; the message says why."""


@dataclass(frozen=True)
class Passport:
    """What an architecture of open_clip and its weights want, read from open_clip's own configs.

    Args:
        arch: name of the architecture; 'custom' for one of one's own sizes.
        weights: tag of the weights that the facts hold for, or None.
        tokenizer: name of the tokenizer: `CLIP_TOKENIZER`, or a repository of the Hugging Face hub.
        tokenizer_options: further arguments of open_clip's tokenizer, as pairs.
        context_length: tokens of a text at most.
        vocabulary: number of token ids.
        pooling: token whose feature stands for a text: 'argmax' (largest id), 'eos' (first end of
            text), 'last' (last position), 'first', or 'class token' (appended to the text).
        eos_id: id of the end of text that the pooling 'eos' looks for.
        padding: 'masked' where the tower never sees padding, 'attended' where it reads padding.
        causal: whether a token attends to earlier tokens only.
        image_size: height and width of a frame in pixels.
        resize_mode: how a frame comes to that size: 'shortest' (short side, then the middle is
            cut), 'squash' (both sides) or 'longest' (long side, then bars of `fill`).
        interpolation: 'bicubic' or 'bilinear'.
        fill: value of the bars, 0 to 255.
        mean: mean of the RGB channels on the scale of 0 to 1.
        std: standard deviation of the RGB channels on the same scale.
        quick_gelu: whether towers of open_clip's own have QuickGELU in place of GELU.
        text_width: width of the text tower.
        embed_dim: width D of words and frames.
        tokenizer_folder: local folder of the tokenizer's files; None: from the hub.
        arch_quick_gelu: what the name of the architecture says of `quick_gelu`; weights may have
            been trained otherwise.
    """

    arch: str
    weights: str | None
    tokenizer: str
    tokenizer_options: tuple[tuple[str, Any], ...]
    context_length: int
    vocabulary: int
    pooling: str
    eos_id: int | None
    padding: str
    causal: bool
    image_size: tuple[int, int]
    resize_mode: str
    interpolation: str
    fill: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    quick_gelu: bool
    text_width: int
    embed_dim: int
    tokenizer_folder: str | None = field(default=None, compare=False)
    arch_quick_gelu: bool = field(default=False, compare=False)

    @property
    def fills_context(self) -> bool:
        """Whether texts must be padded to the whole context."""
        return self.padding == 'attended' or self.pooling == 'class token'

    @property
    def tokenizer_settings(self) -> dict[str, Any]:
        """The arguments of `load_tokenizer`; empty for CLIP's own on texts of any length."""
        settings: dict[str, Any] = {}
        if self.tokenizer != CLIP_TOKENIZER:
            settings.update(name=self.tokenizer, folder=self.tokenizer_folder)
        if self.tokenizer != CLIP_TOKENIZER or self.vocabulary < CLIP_VOCABULARY:
            settings.update(vocabulary=self.vocabulary)
        if self.tokenizer_options:
            settings.update(options=dict(self.tokenizer_options))
        if self.fills_context:
            settings.update(pad_to=self.context_length)
        return settings

    @property
    def resize_settings(self) -> dict[str, Any]:
        """The arguments of `CLIPResizeCrop`, those that are its defaults left out."""
        return resize_settings(self.image_size, self.resize_mode, self.interpolation, self.fill)

    def facts(self) -> dict[str, str]:
        """Return what it computes, as short texts by name; names and folders are left out."""
        return {
            key.replace('_', ' '): str(value)
            for key, value in asdict(self).items()
            if key not in NAMES
        }

    def input_facts(self) -> dict[str, str]:
        """Return the facts that say what texts and frames must be before they are encoded."""
        names = ('tokenizer', 'tokenizer options', 'context length', 'image size', 'resize mode',
                 'interpolation', 'fill', 'mean', 'std')  # fmt: skip
        return {name: self.facts()[name] for name in names}

    def facts_of_earlier_versions(self) -> dict[str, str]:
        """Return the facts by which versions before passports ran this architecture.

        They knew CLIP's tokenizer, pooling and preprocessing only.
        """
        pixels = PreprocessCfg()
        earlier = replace(
            self,
            tokenizer=CLIP_TOKENIZER,
            tokenizer_options=(),
            pooling='argmax',
            eos_id=None,
            padding='masked',
            resize_mode=pixels.resize_mode,
            interpolation=pixels.interpolation,
            mean=pixels.mean,
            std=pixels.std,
            quick_gelu=self.arch_quick_gelu,
        )
        return earlier.facts()

    def differences(self, then: Mapping[str, str]) -> list[str]:
        """Compare with the facts of another passport.

        Args:
            then: what `facts` of the other one returned. Facts that it lacks are not compared.

        Returns:
            Texts such as 'image size: then (224, 224), now (256, 256)'.
        """
        return [
            f'{name}: then {then[name]}, now {now}'
            for name, now in self.facts().items()
            if name in then and then[name] != now
        ]


def read_passport(
    arch: str | Mapping[str, Any],
    tag: str | None = None,
    quick_gelu: bool | None = None,
    tokenizer_folder: str | None = None,
) -> Passport:
    """Read the passport of an architecture and of the weights of a tag.

    Args:
        arch: name of an open_clip model, or the keyword arguments of `open_clip.CLIP`.
        tag: tag of pre-trained weights. None takes what all tags of the architecture share, or
            open_clip's defaults where they differ.
        quick_gelu: activation of the towers; None takes that of the tag, or of the architecture.
        tokenizer_folder: local folder of the tokenizer's files.

    Raises:
        ValueError: if open_clip knows no such architecture or tag.
        UnsupportedEncoderError: if its text tower is one of the transformers library.
    """
    config = model_config(arch)
    text = CLIPTextCfg(**config['text_cfg'])
    name = arch if isinstance(arch, str) else CUSTOM
    _refuse_foreign_text_tower(name, text)
    pixels = _pixels_of(arch, tag, config['vision_cfg'].get('image_size', 224))
    pooling = 'class token' if text.embed_cls else text.pool_type
    return Passport(
        arch=name,
        weights=tag,
        tokenizer=text.hf_tokenizer_name or CLIP_TOKENIZER,
        tokenizer_options=tuple((text.tokenizer_kwargs or {}).items()),
        context_length=text.context_length,
        vocabulary=text.vocab_size,
        pooling=pooling,
        eos_id=text.eos_id if pooling == 'eos' else None,
        padding=_padding_rule(name, text, pooling),
        causal=not text.no_causal_mask,
        image_size=_pair(pixels.size),
        resize_mode=pixels.resize_mode,
        interpolation=pixels.interpolation,
        fill=pixels.fill_color,
        mean=_triple(pixels.mean),
        std=_triple(pixels.std),
        quick_gelu=_quick_gelu(arch, tag, config) if quick_gelu is None else quick_gelu,
        text_width=text.width,
        embed_dim=config['embed_dim'],
        tokenizer_folder=tokenizer_folder,
        arch_quick_gelu=bool(config.get('quick_gelu', False)),
    )


def resize_settings(
    size: int | Sequence[int],
    mode: str = 'shortest',
    interpolation: str = 'bicubic',
    fill: int = 0,
) -> dict[str, Any]:
    """Return arguments of `CLIPResizeCrop` in their shortest form, to write or compare them.

    Args:
        size: side of a square, or height and width.
        mode: as of `Passport.resize_mode`.
        interpolation: as of `Passport.interpolation`.
        fill: as of `Passport.fill`.
    """
    height, width = _pair(size)
    settings: dict[str, Any] = dict(size=height if height == width else [height, width])
    if mode != 'shortest':
        settings.update(mode=mode)
    if interpolation != 'bicubic':
        settings.update(interpolation=interpolation)
    if fill:
        settings.update(fill=fill)
    return settings


def model_config(arch: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return the config that open_clip builds an architecture from.

    Args:
        arch: name of an open_clip model, or the config itself.

    Raises:
        ValueError: if open_clip knows no architecture of that name; it names similar ones.
    """
    if not isinstance(arch, str):
        return dict(arch)
    known = open_clip.list_models()
    if arch not in known:
        near = difflib.get_close_matches(arch, known, n=5, cutoff=0.3)
        raise ValueError(f'open_clip knows no architecture {arch!r}. Similar names: {near}.')
    return open_clip.get_model_config(arch)


def tags_of(arch: str | Mapping[str, Any]) -> list[str]:
    """Return the tags of the pre-trained weights of an architecture."""
    return open_clip.list_pretrained_tags_by_model(arch) if isinstance(arch, str) else []


def preprocessing_of(arch: str | Mapping[str, Any], tag: str) -> dict[str, Any]:
    """Return how open_clip resizes and normalises the images of a tag.

    Args:
        arch: name of an open_clip model.
        tag: tag of its pre-trained weights.

    Returns:
        The fields of open_clip's `PreprocessCfg`.

    Raises:
        ValueError: if the architecture has no such tag.
    """
    if tag not in tags_of(arch):
        raise ValueError(f'{arch!r} has no weights {tag!r}; its tags are {tags_of(arch)}.')
    return merge_preprocess_dict(PreprocessCfg(), open_clip.get_pretrained_cfg(arch, tag))


def preprocessings_differ(arch: str | Mapping[str, Any]) -> bool:
    """Return whether the tags of an architecture want images read in different ways."""
    found = [preprocessing_of(arch, tag) for tag in tags_of(arch)]
    return any(other != found[0] for other in found[1:])


def _pixels_of(arch: str | Mapping[str, Any], tag: str | None, size: Any) -> PreprocessCfg:
    """Preprocessing of a tag; the size is that of the tower, as in open_clip."""
    settings = merge_preprocess_dict(PreprocessCfg(), {})
    if tag is not None:
        settings = preprocessing_of(arch, tag)
    elif tags_of(arch) and not preprocessings_differ(arch):
        settings = preprocessing_of(arch, tags_of(arch)[0])
    return PreprocessCfg(**dict(settings, size=size))


def _quick_gelu(arch: str | Mapping[str, Any], tag: str | None, config: Mapping[str, Any]) -> bool:
    """Activation that the weights of a tag were trained with; without a tag that of the config."""
    source = config if tag is None else open_clip.get_pretrained_cfg(arch, tag)
    return bool(source.get('quick_gelu', False))


def _padding_rule(arch: str, text: CLIPTextCfg, pooling: str) -> str:
    """Towers of open_clip read padding unless they are causal and pool a token of the text.

    A tower of one's own sizes masks it, unless its pooling needs it: it is trained as it is run.
    """
    if pooling == 'class token':
        return 'masked'
    pools_text = pooling in ('argmax', 'eos', 'first')
    return 'masked' if pools_text and (arch == CUSTOM or not text.no_causal_mask) else 'attended'


def _refuse_foreign_text_tower(arch: str, text: CLIPTextCfg) -> None:
    if text.hf_model_name:
        raise UnsupportedEncoderError(
            f'The text tower of {arch!r} is {text.hf_model_name} of the transformers library, '
            'which is not supported; choose an architecture with a text tower of open_clip '
            '(docs/backbones.md).'
        )
    if text.tokenizer_mode or text.pool_type == 'none':
        raise UnsupportedEncoderError(
            f'{arch!r} has the tokenizer mode {text.tokenizer_mode!r} and the pooling '
            f'{text.pool_type!r}, which are not supported; choose another architecture '
            '(docs/backbones.md).'
        )


def _pair(size: Any) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _triple(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * 3
