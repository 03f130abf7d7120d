"""Pre-trained weights of open_clip: found or fetched, and loaded whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
import torch
from mmengine.logging import print_log
from open_clip.factory import load_state_dict
from torch import nn

from diffusionret_mm.models.backbones.downloads import describe_download
from diffusionret_mm.passport import model_config, tags_of
from diffusionret_mm.storage.checkpoints import COMPILED

# What CoCa has beside its two towers.
DECODER = 'text_decoder.'
# Files of big_vision, which have names of their own.
BIG_VISION = ('.npz', '.npy')


def find_weights(
    arch: str | Mapping[str, Any], pretrained: str, cache_dir: str | None, num_parameters: int
) -> str:
    """Return the path of a weight file, fetching it if it is a tag; the log says so before.

    Args:
        arch: name of an open_clip model, or its config.
        pretrained: tag, or path of a file.
        cache_dir: folder for downloads; None takes the hub's default.
        num_parameters: number of parameters of the model.

    Raises:
        ValueError: if it is neither a file nor a tag of this architecture.
        RuntimeError: if it could not be downloaded.
    """
    if Path(pretrained).is_file():
        return pretrained
    tags = tags_of(arch)
    if pretrained not in tags:
        raise ValueError(
            f'pretrained={pretrained!r} is neither an existing file nor a weight tag of {arch!r} '
            f'(tags: {tags}).'
        )
    try:
        told = describe_download(arch, pretrained, num_parameters, cache_dir)
        if told is not None:
            print_log(told, logger='current')
        config = open_clip.get_pretrained_cfg(arch, pretrained)
        return open_clip.download_pretrained(config, cache_dir=cache_dir)
    except Exception as error:
        raise RuntimeError(
            f'The weights {pretrained!r} of {arch!r} could not be downloaded '
            f'({type(error).__name__}: {error}). Fetch the file on a machine with internet and '
            f'give its path: --backbone {arch}:FILE, or --cfg-options '
            'model.backbone.pretrained=FILE.'
        ) from error


def load_weights(clip: nn.Module, arch: str | Mapping[str, Any], path: str) -> None:
    """Load a weight file into a model; all its tensors must be there, and no others.

    Args:
        clip: the open_clip model.
        arch: name of it, or its config. The decoder of a CoCa is passed over.
        path: file of open_clip, OpenAI's archive, safetensors, or big_vision's .npz.

    Raises:
        RuntimeError: if the file does not fit the architecture.
    """
    has_decoder = 'multimodal_cfg' in model_config(arch)
    try:
        with _plain_names(path) as plain:
            found = open_clip.load_checkpoint(clip, plain, strict=not has_decoder)
        if has_decoder:
            foreign = [key for key in found.unexpected_keys if not key.startswith(DECODER)]
            if found.missing_keys or foreign:
                raise RuntimeError(f'missing: {found.missing_keys[:5]}, unknown: {foreign[:5]}')
    except Exception as error:
        raise RuntimeError(
            f'{path} does not hold weights for the CLIP architecture {arch!r}: {error}'
        ) from error


@contextmanager
def _plain_names(path: str) -> Iterator[str]:
    """The file; of a model that was compiled, a copy whose names have lost the prefix."""
    if Path(path).suffix in BIG_VISION:
        yield path
        return
    state = load_state_dict(path)
    if not any(key.startswith(COMPILED) for key in state):
        del state
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / 'weights.pt'
        torch.save({key.removeprefix(COMPILED): value for key, value in state.items()}, copy)
        yield str(copy)
