"""The sizes of a model, read off the shapes of its tensors."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

HEAD_WIDTH = 64  # OpenAI's CLIP, and all that is built on it: heads = width // 64
# In OpenAI's ViTs texts are as wide as the joint space, which settles a disagreement.
EMBED_DIM = (('text_projection', 1), ('visual.proj', 1), ('ln_final.weight', 0))


class SizesError(ValueError):
    """The tensors do not tell a size, or contradict each other."""


def clip_arch(state: Mapping[str, Tensor], prefix: str = '') -> dict[str, Any]:
    """Read the architecture of an OpenAI CLIP with a ViT.

    Args:
        state: tensors in OpenAI's names.
        prefix: what stands before those names.

    Returns:
        Keyword arguments of `open_clip.CLIP`, the `arch` of an `OpenCLIPBackbone`.

    Raises:
        SizesError: if tensors that tell a size are missing.
    """
    shapes = {
        key.removeprefix(prefix): tuple(value.shape)
        for key, value in state.items()
        if key.startswith(prefix)
    }
    patch = read_size(shapes, [('visual.conv1.weight', -1), ('visual.conv1.weight', -2)])
    tokens = read_size(shapes, [('visual.positional_embedding', 0)])
    width = read_size(shapes, _widths('visual.', 'visual.ln_pre.weight', 'visual.ln_post.weight'))
    text_width = read_size(shapes, _widths('', 'ln_final.weight', 'ln_final.bias'))
    return dict(
        embed_dim=read_size(shapes, EMBED_DIM),
        quick_gelu=True,
        vision_cfg=dict(
            image_size=math.isqrt(tokens - 1) * patch,
            patch_size=patch,
            width=width,
            layers=num_blocks(shapes, 'visual.transformer.'),
            head_width=HEAD_WIDTH,
        ),
        text_cfg=dict(
            context_length=read_size(shapes, [('positional_embedding', 0)]),
            vocab_size=read_size(shapes, [('token_embedding.weight', 0)]),
            width=text_width,
            heads=text_width // HEAD_WIDTH,
            layers=num_blocks(shapes, 'transformer.'),
        ),
    )


def num_blocks(keys: Iterable[str], prefix: str) -> int:
    """Count the residual blocks under a prefix.

    Examples:
        >>> num_blocks(['resblocks.0.ln_1.bias', 'resblocks.1.ln_1.bias', 'ln_final.bias'], '')
        2
    """
    found = (re.match(rf'{re.escape(prefix)}resblocks\.(\d+)\.', key) for key in keys)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def read_size(shapes: Mapping[str, tuple[int, ...]], places: Iterable[tuple[str, int]]) -> int:
    """Read one size where most of its places agree, because one tensor may be damaged.

    Args:
        shapes: shapes by name.
        places: names and axes that tell the size.

    Raises:
        SizesError: if none of them is there.
    """
    places = list(places)
    values = [
        shapes[name][axis]
        for name, axis in places
        if name in shapes and len(shapes[name]) > max(axis, -1 - axis)
    ]
    if not values:
        names = sorted({name for name, _ in places})
        raise SizesError(f'None of the keys {", ".join(names)} is there to tell a size.')
    return Counter(values).most_common(1)[0][0]


def _widths(prefix: str, *gains: str) -> list[tuple[str, int]]:
    """Where the width of a tower can be read."""
    return [(gain, 0) for gain in gains] + [(f'{prefix}positional_embedding', 1)]
