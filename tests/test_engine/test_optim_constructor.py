import pytest
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope


def build(model, **paramwise_cfg):
    cfg = dict(
        type='OptimWrapper',
        constructor='RoleOptimWrapperConstructor',
        optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1),
        paramwise_cfg=paramwise_cfg,
    )
    with DefaultScope.overwrite_default_scope('mmaction'):
        return build_optim_wrapper(model, cfg)


def test_groups_by_role_and_decay(tiny_model):
    tiny_model.set_stage('discrimination')
    groups = build(tiny_model, backbone_lr_mult=0.01).optimizer.param_groups
    options = sorted((group['lr'], group['weight_decay']) for group in groups)
    assert options == [(1e-5, 0.0), (1e-5, 0.1), (1e-3, 0.0), (1e-3, 0.1)]
    decayed = {id(p) for group in groups if group['weight_decay'] for p in group['params']}
    names = {name for name, p in tiny_model.named_parameters() if id(p) in decayed}
    assert 'backbone.clip.text_projection' in names
    assert not any('embedding' in name or name.endswith('bias') for name in names)


def test_frozen_parameters_are_left_out(tiny_model):
    tiny_model.set_stage('generation')
    groups = build(tiny_model).optimizer.param_groups
    count = sum(p.numel() for group in groups for p in group['params'])
    assert count == sum(p.numel() for p in tiny_model.generators.parameters())
    tiny_model.requires_grad_(False)
    with pytest.raises(ValueError, match='All parameters of DiffusionRet are frozen'):
        build(tiny_model)


def test_published_decay_spares_biases_alone(tiny_model):
    tiny_model.set_stage('discrimination')
    groups = build(tiny_model, decay='all_but_biases').optimizer.param_groups
    spared = {id(p) for group in groups if not group['weight_decay'] for p in group['params']}
    for name, parameter in tiny_model.named_parameters():
        if parameter.requires_grad:
            assert (id(parameter) in spared) == ('bias' in name), name
    with pytest.raises(ValueError, match='decay must be one of'):
        build(tiny_model, decay='some')
