"""What will be downloaded, before it is: the source, the size, and where it goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import open_clip
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

BYTES_PER_PARAMETER = 4
# Seconds to wait for the hub to say how large a file is.
PATIENCE = 5.0


def describe_download(
    arch: str, tag: str, num_parameters: int, cache_dir: str | None = None
) -> str | None:
    """Describe the download of pre-trained weights.

    Args:
        arch: name of an open_clip model.
        tag: tag of its weights.
        num_parameters: number of parameters of the model: the size is computed from it where the
            hub does not tell.
        cache_dir: folder for downloads; None takes the hub's default.

    Returns:
        A sentence; None if the weights are on this machine already.
    """
    source: dict[str, Any] = open_clip.get_pretrained_cfg(arch, tag)
    repository, name = os.path.split(source.get('hf_hub', ''))
    if repository:
        names = _file_names(name)
        if any(isinstance(_cached(repository, each, cache_dir), str) for each in names):
            return None
        size = next(filter(None, (_size_on_hub(repository, each) for each in names)), None)
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


def _cached(repository: str, name: str, cache_dir: str | None) -> Any:
    return try_to_load_from_cache(repository, name, cache_dir=cache_dir)


def _size_on_hub(repository: str, name: str) -> int | None:
    """Return the size of a file in bytes, or None if there is no such file, or no hub."""
    try:
        return get_hf_file_metadata(hf_hub_url(repository, name), timeout=PATIENCE).size
    except Exception:  # of many libraries; the download itself will say what is wrong
        return None


def _in_words(size: int | None, num_parameters: int) -> str:
    if size is not None:
        return f'{size / 1e6:,.0f} MB'
    megabytes = num_parameters * BYTES_PER_PARAMETER / 1e6
    return f'about {megabytes:,.0f} MB, computed from its parameters in single precision'
