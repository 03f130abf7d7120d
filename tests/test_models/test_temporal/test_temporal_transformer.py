import re

import open_clip
import pytest
import torch
from mmaction.registry import MODELS


def build(**kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='TemporalTransformer', width=64, num_layers=2, max_frames=8, **kwargs)
    ).eval()


def text_tower(width=64, layers=3, positions=16, **options):
    return open_clip.CLIP(
        embed_dim=width,
        vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
        text_cfg=dict(context_length=positions, width=width, heads=1, layers=layers, **options),
    )


def test_padded_frames_change_nothing_for_real_ones():
    module = build(position_std=1.0)
    frames = torch.randn(2, 6, 64)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    out = module(frames, mask)
    other = frames.clone()
    other[1, 4:] = 7.0
    torch.testing.assert_close(module(other, mask)[1, :4], out[1, :4])
    alone = module(frames[1:, :4], torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(alone[0], out[1, :4], rtol=1e-5, atol=1e-5)


def test_order_matters():
    module = build(position_std=1.0)
    frames = torch.randn(1, 6, 64)
    mask = torch.ones(1, 6, dtype=torch.bool)
    backwards = module(frames.flip(1), mask).flip(1)
    assert (backwards - module(frames, mask)).abs().max() > 0.01


def test_starts_from_the_text_tower():
    tower = text_tower()
    module = build()
    module.init_from_text_tower(tower)
    torch.testing.assert_close(module.position_embedding, tower.positional_embedding[:8])
    for own, source in zip(module.transformer.resblocks, tower.transformer.resblocks, strict=False):
        torch.testing.assert_close(own.mlp.c_fc.weight, source.mlp.c_fc.weight)


def test_positions_of_its_own_stay():
    module = build(position_std=1.0, init_from_text=False)
    before = module.position_embedding.clone()
    module.init_from_text_tower(text_tower())
    torch.testing.assert_close(module.position_embedding, before)
    assert before.std().item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ('tower', 'said'),
    [
        (dict(layers=1), 'its blocks start from random weights.*: it has 1 blocks, not 2'),
        (dict(width=128), 'its positions start from .*: it has a width of 128, not 64'),
        (dict(width=128), r'its blocks .*: ln_1.weight has the shape \[128\], not \[64\]'),
        (dict(ls_init_value=0.1), 'its blocks .*: its blocks are of another kind'),
        (dict(positions=4), 'its positions from 4 on .*: it has 4 positions'),
    ],
)
def test_what_a_tower_does_not_have_starts_at_random_and_is_said(tower, said, capsys):
    module = build()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    module.init_from_text_tower(text_tower(**tower))
    assert re.search(said, capsys.readouterr().out)
    rest = 'transformer.resblocks.1.mlp.c_fc.weight'
    is_copied = not torch.equal(module.state_dict()[rest], before[rest])
    assert is_copied == ('positions' in tower)


def test_too_many_frames():
    with pytest.raises(ValueError, match='9 frames per video'):
        build()(torch.randn(1, 9, 64), torch.ones(1, 9, dtype=torch.bool))
    with pytest.raises(ValueError, match='not a multiple of head_width 64'):
        MODELS.build(dict(type='TemporalTransformer', width=100))
