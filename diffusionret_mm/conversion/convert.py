"""Published state dicts to ours, every key accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.conversion.huggingface import openai_clip
from diffusionret_mm.conversion.layouts import LAYOUTS, Layout
from diffusionret_mm.conversion.sizes import SizesError, clip_arch, num_blocks, read_size

STAGES = ('discrimination', 'generation')


class ConversionError(ValueError):
    """A published checkpoint is not what it should be."""


@dataclass(frozen=True)
class Conversion:
    """A converted checkpoint.

    Args:
        method: name of the published layout.
        stage: 'discrimination' or 'generation'; None for methods of one stage.
        model: config of the model that the tensors fit, in the published protocol; for 'clip' the
            `arch` of an `OpenCLIPBackbone`.
        state_dict: our tensors, float32.
        renamed: our key by published key.
        dropped: reason by published key.
    """

    method: str
    stage: str | None
    model: dict[str, Any]
    state_dict: dict[str, Tensor]
    renamed: dict[str, str]
    dropped: dict[str, str]


def convert_state_dict(
    state: Mapping[str, Tensor], method: str = 'diffusionret', stage: str | None = None
) -> Conversion:
    """Convert the state dict of a published implementation.

    Sizes are read off the shapes. Half precision is raised to float32.

    Args:
        state: published tensors by name.
        method: key of `LAYOUTS`; 'clip' is OpenAI's own file.
        stage: 'discrimination' or 'generation' insists on a stage of DiffusionRet; None takes the
            one whose tensors are there.

    Returns:
        The converted checkpoint.

    Raises:
        ConversionError: naming the published keys that are missing, unknown or misshapen.
    """
    if method not in LAYOUTS:
        raise ConversionError(f'method must be one of {sorted(LAYOUTS)}; got {method!r}.')
    layout = LAYOUTS[method]
    stage = _find_stage(state, method, stage)
    if stage == 'discrimination':
        state = {key: value for key, value in state.items() if not _of_generator(key)}
    state, origin = openai_clip(state, 'clip.') if layout.huggingface else (state, {})
    dropped = {key: why for key in state if (why := layout.reason_to_drop(key))}
    if 'lstm_visual.weight_ih_l0' in state:
        # CLIP4Clip and its heirs build the table with this module too, but never read it.
        dropped['frame_position_embeddings.weight'] = 'the LSTM has no positions'
    names = {key: layout.rename(key) for key in state if key not in dropped}
    renamed = {key: name for key, name in names.items() if name is not None}
    model = _model_config(state, method)
    expected = _expected_shapes(model, method, stage)
    found = {name: tuple(state[key].shape) for key, name in renamed.items()}
    unknown = [key for key, name in names.items() if name is None or name not in expected]
    _check(layout, expected, found, unknown)
    sources = {source: name for key, name in renamed.items() for source in origin.get(key, (key,))}
    tensors = {name: _raise_precision(state[key]) for key, name in renamed.items()}
    tensors.update(_start_values(model, layout))
    dropped = {key: why for key, why in dropped.items() if key in state}
    return Conversion(method, stage, model, tensors, sources, dropped)


def _find_stage(state: Mapping[str, Tensor], method: str, wanted: str | None) -> str | None:
    if method != 'diffusionret':
        if wanted is not None:
            raise ConversionError(f'Checkpoints of {method} have no stages; leave the stage out.')
        return None
    has_generators = any(map(_of_generator, state))
    if wanted == 'generation' and not has_generators:
        raise ConversionError(
            'This is a checkpoint of stage one (discrimination): it holds no generator, no key '
            'diffusion_model.* or diffusion_model_v.*, such as diffusion_model.q_proj.weight. '
            'Give a checkpoint of stage two, or convert it as stage discrimination.'
        )
    return wanted or STAGES[has_generators]


def _of_generator(key: str) -> bool:
    return key.startswith(('diffusion_model.', 'diffusion_model_v.'))


def _model_config(state: Mapping[str, Tensor], method: str) -> dict[str, Any]:
    """Config of the model that these tensors belong to."""
    prefix = '' if method == 'clip' else 'clip.'
    try:
        arch = clip_arch(state, prefix)
    except SizesError as error:
        raise ConversionError(
            f'The sizes of CLIP cannot be read: {error} Is this a checkpoint of {method}?'
        ) from error
    if method == 'clip':
        return arch
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    model: dict[str, Any] = dict(
        type='TextVideoRetriever',
        backbone=dict(type='OpenCLIPBackbone', arch=arch),
        temporal=_temporal_config(shapes, arch['embed_dim']),
        similarity=_similarity_config(shapes, arch['embed_dim'], LAYOUTS[method].similarity),
        loss=dict(type='ContrastiveLoss', same_video='negative'),
    )
    if method == 'tighttransf':
        model['loss']['scaled'] = False
    if method == 'tmass':
        return dict(model, type='TMASS')
    return _with_generators(model, arch['embed_dim']) if method == 'diffusionret' else model


def _temporal_config(shapes: Mapping[str, tuple[int, ...]], width: int) -> dict[str, Any] | None:
    if any(key.startswith('lstm_visual.') for key in shapes):
        return dict(type='TemporalLSTM', width=width)
    layers = num_blocks(shapes, 'transformerClip.')
    if not layers:
        return None
    positions = shapes.get('frame_position_embeddings.weight', (77,))
    return dict(type='TemporalTransformer', width=width, num_layers=layers, max_frames=positions[0])


def _similarity_config(
    shapes: Mapping[str, tuple[int, ...]], width: int, similarity: str
) -> dict[str, Any]:
    if similarity == 'StochasticXPool':
        frames = _similarity_size(shapes, [('stochastic.std_branch.linear_proj.weight', 1)])
        return dict(type=similarity, width=width, num_frames=frames)
    if similarity == 'PairTransformer':
        tokens = _similarity_size(shapes, [('cross.embeddings.position_embeddings.weight', 0)])
        layers = num_blocks(shapes, 'cross.transformer.')
        return dict(type=similarity, width=width, num_layers=layers, max_frames=tokens - 1)
    if similarity != 'WeightedTokenInteraction':
        return dict(type=similarity)
    places = [
        (f'{modality}_weight_fc.0.{part}', 0)
        for modality in ('text', 'video')
        for part in ('weight', 'bias')
    ]
    hidden = _similarity_size(shapes, places)
    return dict(type=similarity, width=width, padding='zero', hidden_width=hidden)


def _similarity_size(shapes: Mapping[str, tuple[int, ...]], places: list[tuple[str, int]]) -> int:
    try:
        return read_size(shapes, places)
    except SizesError as error:
        raise ConversionError(f'The similarity has no weights: {error}.') from error


def _with_generators(model: dict[str, Any], width: int) -> dict[str, Any]:
    return dict(
        model,
        type='DiffusionRet',
        same_video='negative',
        generator=dict(
            type='DiffusionGenerator',
            attention=dict(type='TextFrameAttentionHead', masking='after_softmax'),
            denoiser=dict(type='QueryCandidateDenoiser', width=width),
        ),
        loss=dict(type='KLContrastiveLoss', contrastive=model['loss']),
    )


def _expected_shapes(
    model: dict[str, Any], method: str, stage: str | None
) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors that our model has, by our names; nothing is allocated."""
    with torch.device('meta'):
        built: Any = open_clip.CLIP(**model) if method == 'clip' else MODELS.build(model)
    state, not_saved = built.state_dict(), set(LAYOUTS[method].not_saved)
    if stage == 'discrimination':
        not_saved |= {name for name in state if built.stage_of(name) != stage}
    return {name: tuple(value.shape) for name, value in state.items() if name not in not_saved}


def _check(
    layout: Layout,
    expected: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    unknown: list[str],
) -> None:
    missing = [layout.published_name(name) for name in expected if name not in found]
    misshapen = [
        f'{layout.published_name(name)} (file {list(shape)}, expected {list(expected[name])})'
        for name, shape in found.items()
        if name in expected and shape != expected[name]
    ]
    problems = [
        f'{len(keys)} {kind}:\n  ' + '\n  '.join(keys)
        for kind, keys in (('missing', missing), ('unknown', unknown), ('misshapen', misshapen))
        if keys
    ]
    if problems:
        raise ConversionError('Nothing was converted. Keys\n' + '\n'.join(problems))


def _raise_precision(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def _start_values(model: dict[str, Any], layout: Layout) -> dict[str, Tensor]:
    """Seeded start values of what the published code does not save."""
    if not layout.not_saved:
        return {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = MODELS.build(model['similarity']).state_dict()
    return {name: head[name.removeprefix('similarity.')] for name in layout.not_saved}
