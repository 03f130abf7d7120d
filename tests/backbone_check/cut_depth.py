"""Towers with fewer blocks, where whole ones would not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import open_clip
import timm
import torch
from open_clip import factory
from torch import nn

BLOCKS = 2
STAGES = (1, 1, 2, 1)


def cut_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config of open_clip with two blocks in each tower, or one in each of its stages."""
    cut = dict(config)
    for tower in ('vision_cfg', 'text_cfg'):
        layers = cut[tower].get('layers', BLOCKS)
        few = [1] * len(layers) if isinstance(layers, list) else BLOCKS
        cut[tower] = dict(cut[tower], layers=few)
    return cut


@contextmanager
def few_blocks(arch: str) -> Iterator[None]:
    """Build an architecture with few blocks; all else stays as it is.

    Args:
        arch: name of an open_clip model.
    """
    config = cut_config(open_clip.get_model_config(arch))
    create = _few_blocks_of(timm.create_model)
    with (
        mock.patch.dict(factory._MODEL_CONFIGS, {arch: config}),
        mock.patch('open_clip.timm_model.timm.create_model', create),
    ):
        yield


def _few_blocks_of(create: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    def build(name: str, **kwargs: Any) -> nn.Module:
        for option in (dict(depth=BLOCKS), dict(depths=STAGES)):
            try:
                return create(name, **option, **kwargs)
            except TypeError:
                continue
        return create(name, **kwargs)

    return build


def num_parameters(arch: str) -> int:
    """Return the number of parameters of an architecture, built without memory."""
    with torch.device('meta'):
        model = open_clip.create_model(arch, pretrained=None, device='meta')
    return sum(parameter.numel() for parameter in model.parameters())
