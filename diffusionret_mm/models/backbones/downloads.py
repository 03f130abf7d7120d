"""What will be downloaded, before it is: the source, the size, and where it goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import constants
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

from diffusionret_mm.storage.hub import is_cached, size_on_hub

BYTES_PER_PARAMETER = 4


def describe_download(
    arch: str, tag: str, num_parameters: int, cache_dir: str | None = None
) -> str | None:
    """Describe the download of pre-trained weights.

    Args:
        arch: name of an open_clip model.
        tag: tag of its weights.
        num_parameters: number of parameters of the model: the size is computed from it where the
            source does not tell.
        cache_dir: folder for downloads; None takes the hub's default.

    Returns:
        A sentence; None if the weights are on this machine already.

    Raises:
        HubError: if the hub that has them cannot be reached.
    """
    source: dict[str, Any] = open_clip.get_pretrained_cfg(arch, tag)
    repository, name = os.path.split(source.get('hf_hub', ''))
    if repository:
        names = _file_names(name)
        if any(is_cached(repository, each, cache_dir) for each in names):
            return None
        size = next(filter(None, (size_on_hub(repository, each) for each in names)), None)
        place = cache_dir or constants.HF_HUB_CACHE
    else:
        repository, size = source['url'], None
        place = cache_dir or os.path.expanduser('~/.cache/clip')
        if (Path(place) / os.path.basename(repository)).is_file():
            return None
    return (
        f'The weights {tag!r} of {arch!r} are downloaded from {repository} '
        f'({_in_words(size, num_parameters)}) to {place}.'
    )


def _file_names(name: str) -> list[str]:
    """Return the names that open_clip looks for, in its order."""
    if not name:
        return [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    return [str(Path(name).with_suffix('.safetensors')), name]


def _in_words(size: int | None, num_parameters: int) -> str:
    if size is not None:
        return f'{size / 1e6:,.0f} MB'
    megabytes = num_parameters * BYTES_PER_PARAMETER / 1e6
    return f'about {megabytes:,.0f} MB, computed from its parameters in single precision'
