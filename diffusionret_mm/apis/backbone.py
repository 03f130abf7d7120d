"""One key of a config, the backbone, sets how texts and frames are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config

from diffusionret_mm.datasets.transforms.base import FollowsBackbone
from diffusionret_mm.models.backbones import OpenCLIPBackbone, TextVideoBackbone
from diffusionret_mm.passport import Passport, tags_of

RANDOM = 'none'
# Tag that a name without one stands for, where an architecture has several.
USUAL_TAG = 'openai'


def use_backbone(cfg: Config, name: str) -> None:
    """Put another backbone into a config; widths, sizes and tokens follow it.

    Args:
        cfg: the whole config; it is changed.
        name: 'ARCH' or 'ARCH:TAG' of open_clip, 'ARCH:FILE' with a weight file, or 'ARCH:none' for
            random weights. Without a tag the only one of the architecture is taken, or that of
            OpenAI.

    Raises:
        ValueError: if open_clip knows no such architecture or tag, or the tag is left open; or the
            config has backbone=None.
    """
    refuse_without_backbone(cfg)
    backbone = dict(cfg.model.backbone, type='OpenCLIPBackbone') | named_backbone(name)
    for option in ('tag', 'tokenizer', 'quick_gelu', 'word_std', 'patch_position_std'):
        backbone.pop(option, None)
    cfg.merge_from_dict(dict(model=dict(backbone=dict(backbone, _delete_=True))))
    _forget_widths(cfg.model)


def named_backbone(name: str) -> dict[str, str | None]:
    """Return the arguments `arch` and `pretrained` of `OpenCLIPBackbone` for a name.

    Arguments and errors as of `use_backbone`.
    """
    arch, _, tag = name.partition(':')
    OpenCLIPBackbone.read_passport(dict(arch=arch))  # refuses unknown and unsupported ones
    pretrained = None if tag == RANDOM else tag or _usual_tag(arch)
    if pretrained is not None and pretrained not in tags_of(arch) and not Path(tag).is_file():
        raise ValueError(
            f'--backbone {name}: {tag!r} is neither a tag of {arch!r} ({tags_of(arch)}) nor a file.'
        )
    return dict(arch=arch, pretrained=pretrained)


def _usual_tag(arch: str) -> str | None:
    tags = tags_of(arch)
    if len(tags) > 1 and USUAL_TAG not in tags:
        raise ValueError(f'{arch!r} has several weights; choose: --backbone {arch}:TAG of {tags}.')
    return USUAL_TAG if USUAL_TAG in tags else (tags[0] if tags else None)


def _forget_widths(model: Mapping[str, Any]) -> None:
    """Let every width of the parts of a model follow the backbone."""
    for name, part in model.items():
        if name != 'backbone' and isinstance(part, dict):
            if 'width' in part:
                part['width'] = None
            _forget_widths(part)


def name_files_absolutely(cfg: Config) -> None:
    """Let a config name the files of its backbone so that they are found from any folder.

    Args:
        cfg: the whole config; it is changed.
    """
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    for option in ('pretrained', 'tokenizer'):
        named = backbone.get(option)
        if isinstance(named, str) and Path(named).exists():
            backbone[option] = str(Path(named).absolute())


def refuse_without_backbone(cfg: Config) -> None:
    """Refuse a config whose features come from elsewhere where something is to be encoded.

    Raises:
        ValueError: if its model has backbone=None.
    """
    model = cfg.get('model') or {}
    if 'backbone' in model and model['backbone'] is None:
        raise ValueError(
            f'{cfg.filename or "The config"} has backbone=None: its features were imported, and it '
            'can encode no videos and no sentences. Take a config with a backbone.'
        )


def follow_backbone(cfg: Config) -> list[str]:
    """Fill in what the transforms of a config take from the backbone: tokenizer, size, resizing.

    Settings that a transform has already must be those of the backbone. A model with backbone=None
    gets the width of the features of its data sets.

    Args:
        cfg: the whole config; it is changed. One without a backbone is left alone.

    Returns:
        Sentences on what the backbone cuts, for the log of a run.

    Raises:
        ValueError: if a setting does not fit the backbone, or data sets differ in width.
        FileNotFoundError, AnnotationError: if there are no features, or damaged ones.
    """
    passport = passport_of(cfg)
    _fill_width_of_features(cfg)
    told: dict[str, None] = {}  # in order, each once
    if passport is not None:
        _fill(cfg._cfg_dict, passport, told)
    return list(told)


def _fill_width_of_features(cfg: Config) -> None:
    model: Any = cfg.get('model') or {}
    if 'backbone' not in model or model.backbone is not None or model.get('embed_dim'):
        return
    widths = {}
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        dataset = (cfg.get(name) or {}).get('dataset')
        if dataset is not None:
            widths[name] = DATASETS.get(dataset.type).read_feature_width(dataset)
    if len(set(widths.values())) != 1 or None in widths.values():
        raise ValueError(
            'A model with backbone=None needs data sets of features of one width, such as '
            f'FeatureDataset; the widths are {widths}.'
        )
    model['embed_dim'] = next(iter(widths.values()))


def passport_of(cfg: Config) -> Passport | None:
    """Return the passport of a config's backbone, or None if it has none."""
    backbone = (cfg.get('model') or {}).get('backbone')
    cls = MODELS.get(backbone['type']) if backbone else None
    if cls is None or not issubclass(cls, TextVideoBackbone):
        return None
    return cls.read_passport(backbone)


def _fill(value: Any, passport: Passport, told: dict[str, None]) -> None:
    """Go through a config."""
    if isinstance(value, list | tuple):
        for item in value:
            _fill(item, passport, told)
    elif isinstance(value, dict):
        _fill_step(value, passport, told)
        for item in list(value.values()):
            _fill(item, passport, told)


def _fill_step(step: dict[str, Any], passport: Passport, told: dict[str, None]) -> None:
    name = step.get('type')
    cls = TRANSFORMS.get(name) if isinstance(name, str) else None
    if cls is None or not issubclass(cls, FollowsBackbone):
        return
    filled = cls.follow(step, passport)
    words = filled.get('max_words')
    if words != step.get('max_words'):
        told[f'Texts are cut to {words} tokens, the context of {passport.arch!r}.'] = None
    step.update(filled)
