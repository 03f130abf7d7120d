"""Checkpoints of T-MASS, whose CLIP has the names of transformers."""

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.conversion import ConversionError, convert_state_dict

transformers = pytest.importorskip('transformers')
WIDTH = 128


@pytest.fixture(scope='module')
def clip():
    torch.manual_seed(0)
    common = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2)
    config = transformers.CLIPConfig(
        text_config=dict(
            common,
            intermediate_size=4 * WIDTH,
            vocab_size=300,
            max_position_embeddings=20,
            eos_token_id=299,
        ),
        vision_config=dict(common, intermediate_size=4 * WIDTH, image_size=48, patch_size=16),
        projection_dim=WIDTH,
    )
    model = transformers.CLIPModel(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return model


@pytest.fixture
def state(clip):
    state = {f'clip.{key}': value.clone() for key, value in clip.state_dict().items()}
    for tower, count in (('text', 20), ('vision', 10)):
        state[f'clip.{tower}_model.embeddings.position_ids'] = torch.arange(count)[None]
    for part in ('q', 'k', 'v', 'out'):
        state[f'pool_frames.cross_attn.{part}_proj.weight'] = torch.randn(WIDTH, WIDTH)
        state[f'pool_frames.cross_attn.{part}_proj.bias'] = torch.randn(WIDTH)
    state['pool_frames.linear_proj.weight'] = torch.randn(WIDTH, WIDTH)
    state['pool_frames.linear_proj.bias'] = torch.randn(WIDTH)
    for number in (1, 2, 3):
        state[f'pool_frames.layer_norm{number}.weight'] = torch.randn(WIDTH)
        state[f'pool_frames.layer_norm{number}.bias'] = torch.randn(WIDTH)
    state['stochastic.std_branch.linear_proj.weight'] = torch.randn(WIDTH, 5)
    state['stochastic.std_branch.linear_proj.bias'] = torch.randn(WIDTH)
    state['stochastic.std_branch.learnable_scalar'] = torch.randn(1)
    return state


@torch.no_grad()
def test_the_features_are_those_of_transformers(clip, state):
    done = convert_state_dict(state, 'tmass')
    assert done.stage is None
    model = MODELS.build(done.model).eval()
    model.load_state_dict(done.state_dict)
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 298, (3, 9), generator=generator)
    ids[torch.arange(3), torch.tensor([8, 4, 6])] = 299
    mask = torch.arange(9) <= torch.tensor([[8], [4], [6]])
    frames = torch.randn(2, 5, 3, 48, 48, generator=generator)
    texts = model.encode_text(ids * mask, mask)
    videos = model.encode_video(frames, torch.ones(2, 5, dtype=torch.bool))
    hidden = clip.text_model(input_ids=ids * mask, attention_mask=mask.long()).pooler_output
    torch.testing.assert_close(texts.pooled, clip.text_projection(hidden), atol=1e-4, rtol=1e-4)
    hidden = clip.vision_model(pixel_values=frames.flatten(0, 1)).pooler_output
    expected_frames = clip.visual_projection(hidden).view(2, 5, -1)
    torch.testing.assert_close(videos.frames, expected_frames, atol=1e-4, rtol=1e-4)
    assert model.similarity(texts, videos).shape == (3, 2)


def test_every_key_is_accounted_for(state):
    done = convert_state_dict(state, 'tmass')
    assert set(done.renamed) | set(done.dropped) == set(state)
    assert len(done.dropped) == 3
    assert done.model['type'] == 'TMASS'
    assert done.model['similarity'] == dict(type='StochasticXPool', width=WIDTH, num_frames=5)
    packed = done.state_dict['backbone.clip.visual.transformer.resblocks.1.attn.in_proj_weight']
    parts = [
        state[f'clip.vision_model.encoder.layers.1.self_attn.{part}_proj.weight'] for part in 'qkv'
    ]
    np.testing.assert_array_equal(packed, torch.cat(parts))
    for published in ('pool_frames.cross_attn.q_proj.weight', 'pool_frames.layer_norm2.bias'):
        np.testing.assert_array_equal(done.state_dict[done.renamed[published]], state[published])


@pytest.mark.parametrize(
    ('key', 'replacement', 'message'),
    [
        (
            'clip.text_model.encoder.layers.1.self_attn.k_proj.weight',
            None,
            r'1 misshapen:\n  clip.text_model.encoder.layers.1.self_attn.{q,k,v}_proj.weight',
        ),
        (
            'clip.vision_model.encoder.layers.0.self_attn.q_proj.weight',
            torch.zeros(WIDTH, 7),
            r'1 misshapen:\n  clip.vision_model.encoder.layers.0.self_attn.{q,k,v}_proj.weight',
        ),
        (
            'clip.vision_model.pre_layrnorm.bias',
            None,
            r'1 missing:\n  clip.vision_model.pre_layrnorm.bias',
        ),
        (
            'clip.vision_model.encoder.layers.0.mlp.fc1.bias',
            None,
            r'1 missing:\n  clip.vision_model.encoder.layers.0.mlp.fc1.bias',
        ),
        ('clip.text_model.extra', torch.zeros(1), r'1 unknown:\n  clip.text_model.extra'),
        ('pool_frames.linear_proj.bias', None, r'1 missing:\n  pool_frames.linear_proj.bias'),
        ('stochastic.std_branch.linear_proj.weight', None, 'similarity has no weights'),
    ],
)
def test_damage_is_named_as_published(state, key, replacement, message):
    state.pop(key, None)
    if replacement is not None:
        state[key] = replacement
    with pytest.raises(ConversionError, match=message):
        convert_state_dict(state, 'tmass')
