"""Which model a gallery is searched or made with: its own, a named one, or the default."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from diffusionret_mm.apis.backbone import refuse_without_backbone
from diffusionret_mm.apis.command_line import adapt_config
from diffusionret_mm.apis.inferencer import TextVideoInferencer
from diffusionret_mm.engine.config_files import configs_folder, read_config_file
from diffusionret_mm.engine.config_text import parse_config
from diffusionret_mm.passport import tags_of
from diffusionret_mm.search import Facts, GalleryError

DEFAULT_CONFIG = Path('zeroshot', 'zeroshot_mean.py')


def build_inferencer(
    args: argparse.Namespace, facts: Facts | None, **kwargs: Any
) -> TextVideoInferencer:
    """Build the inferencer of a command line with the options of `add_model_options`.

    Args:
        args: the parsed command line, with a `gallery`.
        facts: what the gallery holds about its model; None: it is to be made.
        **kwargs: further arguments of `TextVideoInferencer`.

    Raises:
        GalleryError: if what the gallery remembers cannot be used any more; it names the option
            that helps.
        ValueError: if a checkpoint is given without its config for a new gallery.
        FileNotFoundError, CheckpointError, ExportError: as `TextVideoInferencer`.
    """
    if facts is None:
        cfg, checkpoint = _of_new_gallery(args)
    else:
        cfg, checkpoint = _of_gallery(args, facts)
    named = dict(device=args.device, onnx=args.onnx)
    try:
        return TextVideoInferencer(cfg, checkpoint, **named, **kwargs)
    except (ImportError, KeyError, TypeError) as error:  # the config is of other versions
        if facts is None or args.config:
            raise
        raise _unusable(args.gallery, error) from error


def _of_new_gallery(args: argparse.Namespace) -> tuple[Config, str | None]:
    if args.config is None and args.checkpoint is not None:
        raise ValueError(
            f'--checkpoint {args.checkpoint} needs --config FILE, the config that it was trained '
            'with.'
        )
    path = args.config or str(configs_folder() / DEFAULT_CONFIG)
    cfg = read_config_file(path)
    adapt_config(cfg, path, args.backbone, args.cfg_options)
    if args.config is None:
        backbone = cfg.model.backbone
        print_log(
            f'No --config is given: the model is {DEFAULT_CONFIG.as_posix()} with the encoder '
            f'{backbone.arch} and the weights {backbone.pretrained}, without training.',
            logger='current',
        )
    return cfg, args.checkpoint


def _of_gallery(args: argparse.Namespace, facts: Facts) -> tuple[Config, str | None]:
    cfg = read_config_file(args.config) if args.config else _stored_config(args.gallery, facts)
    adapt_config(cfg, args.config or 'The config', args.backbone, args.cfg_options)
    checkpoint = args.checkpoint or facts.checkpoint or None
    if checkpoint is None:
        _refuse_lost_weights(cfg, args.gallery)
    elif args.checkpoint is None and not os.path.isfile(checkpoint):
        raise GalleryError(
            f'The checkpoint {checkpoint}, which the gallery {args.gallery} was made with, is '
            'gone; give it by --checkpoint FILE.'
        )
    return cfg, checkpoint


def _stored_config(folder: str, facts: Facts) -> Config:
    if not facts.config:
        raise GalleryError(
            f'The gallery {folder} does not say what made it; give --config FILE, and --checkpoint '
            'FILE if the model was trained.'
        )
    try:
        return parse_config(facts.config)
    except (ImportError, ValueError) as error:
        raise _unusable(folder, error) from error


def _refuse_lost_weights(cfg: Config, folder: str) -> None:
    """Refuse pre-trained weights of a file that is gone."""
    refuse_without_backbone(cfg)
    backbone = cfg.model.backbone
    pretrained = backbone.get('pretrained')
    if pretrained is None or os.path.isfile(pretrained) or pretrained in tags_of(backbone.arch):
        return
    raise GalleryError(
        f'The weights {pretrained}, which the gallery {folder} was made with, are gone; give their '
        'file by --cfg-options model.backbone.pretrained=FILE.'
    )


def _unusable(folder: str, error: Exception) -> GalleryError:
    reason = ' '.join(str(error).split()).rstrip('.')
    return GalleryError(
        f'The config that the gallery {folder} holds cannot be used any more '
        f'({type(error).__name__}: {reason}); give one by --config FILE.'
    )
