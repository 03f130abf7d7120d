"""CLIP by the names of transformers, with separate projections, to OpenAI's with packed ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

TOWERS = {'text_model.': '', 'vision_model.': 'visual.'}
# Parts of names, by those of transformers.
LAYERS = {
    'encoder.layers.': 'transformer.resblocks.',
    '.self_attn.': '.attn.',
    '.layer_norm1.': '.ln_1.',
    '.layer_norm2.': '.ln_2.',
    '.fc1.': '.c_fc.',
    '.fc2.': '.c_proj.',
}
WHOLE = {
    'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
    'text_model.embeddings.position_embedding.weight': 'positional_embedding',
    'text_model.final_layer_norm.weight': 'ln_final.weight',
    'text_model.final_layer_norm.bias': 'ln_final.bias',
    'vision_model.embeddings.class_embedding': 'visual.class_embedding',
    'vision_model.embeddings.patch_embedding.weight': 'visual.conv1.weight',
    'vision_model.embeddings.position_embedding.weight': 'visual.positional_embedding',
    'vision_model.pre_layrnorm.weight': 'visual.ln_pre.weight',
    'vision_model.pre_layrnorm.bias': 'visual.ln_pre.bias',
    'vision_model.post_layernorm.weight': 'visual.ln_post.weight',
    'vision_model.post_layernorm.bias': 'visual.ln_post.bias',
    'text_projection.weight': 'text_projection',
    'visual_projection.weight': 'visual.proj',
}
TRANSPOSED = ('text_projection', 'visual.proj')
PACKED = {
    f'.{part}_proj.{kind}': f'.in_proj_{kind}' for part in 'qkv' for kind in ('weight', 'bias')
}


def openai_clip(
    state: Mapping[str, Tensor], prefix: str
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """Rename, transpose and pack the tensors of a `transformers.CLIPModel`.

    Args:
        state: tensors by name; those without the prefix, or of no known name, are handed on.
        prefix: what stands before the names of the CLIP.

    Returns:
        Tensors by OpenAI's names after the same prefix, and the names they came from. A packed
        tensor of which a part is missing or misshapen has a wrong shape.
    """
    origin: dict[str, tuple[str, ...]] = {}
    for key in state:
        own = prefix + _openai_name(key.removeprefix(prefix)) if key.startswith(prefix) else key
        origin[own] = (*origin.get(own, ()), key)
    origin = {own: tuple(sorted(keys, key=_place)) for own, keys in origin.items()}
    tensors = {own: _join([state[key] for key in keys]) for own, keys in origin.items()}
    for name in TRANSPOSED:
        if prefix + name in tensors:
            tensors[prefix + name] = tensors[prefix + name].t().contiguous()
    return tensors, origin


def huggingface_name(key: str) -> str:
    """Return what transformers calls a tensor of OpenAI's CLIP, or the three parts of one.

    Examples:
        >>> huggingface_name('transformer.resblocks.0.attn.in_proj_bias')
        'text_model.encoder.layers.0.self_attn.{q,k,v}_proj.bias'
    """
    whole = {own: name for name, own in WHOLE.items()}
    if key in whole:
        return whole[key]
    tower = 'vision_model.' if key.startswith('visual.') else 'text_model.'
    rest = key.removeprefix('visual.').replace('.in_proj_', '.{q,k,v}_proj.')
    if not rest.startswith('transformer.'):
        return key
    for name, own in LAYERS.items():
        rest = rest.replace(own, name)
    return tower + rest


def _openai_name(key: str) -> str:
    if key in WHOLE:
        return WHOLE[key]
    tower = next((name for name in TOWERS if key.startswith(f'{name}encoder.layers.')), None)
    if tower is None:
        return key
    rest = key.removeprefix(tower)
    for name, own in {**LAYERS, **PACKED}.items():
        rest = rest.replace(name, own)
    return TOWERS[tower] + rest


def _place(key: str) -> int:
    """Place of a projection in a packed tensor."""
    return next((place for place, part in enumerate('qkv') if f'.{part}_proj.' in key), 0)


def _join(parts: list[Tensor]) -> Tensor:
    # Parts that do not fit together give the first, whose shape the strict check then refuses.
    fits = len({part.shape[1:] for part in parts}) == 1
    return torch.cat(parts) if fits and len(parts) > 1 else parts[0]
