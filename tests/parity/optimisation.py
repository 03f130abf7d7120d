"""BertAdam, its schedule and the moving average, step by step."""

from __future__ import annotations

import json

import torch
from mmengine.model import ExponentialMovingAverage
from torch import nn

from diffusionret_mm.engine import BertAdam, RoleOptimWrapperConstructor, WarmupCosineLR
from parity.encoders import Subject
from parity.golden import FLOAT32, TABLE, GoldenFile, GoldenFolder

MAX_NORM = 1.0
EMA_MOMENTUM = 0.01  # published: decay 0.99


class _Toy(nn.Module):
    """The recorded parameters, those of CLIP where our models keep their backbone."""

    def __init__(self, file: GoldenFile) -> None:
        super().__init__()
        self.published: dict[str, nn.Parameter] = {}
        self.backbone, self.new = nn.ParameterDict(), nn.ParameterDict()
        for key in [key for key in file.arrays if key.startswith('init:')]:
            name = key.removeprefix('init:')
            parameter = nn.Parameter(file.take(key).clone())
            of_clip = name.startswith('clip.')
            (self.backbone if of_clip else self.new)[name.replace('.', '/')] = parameter
            self.published[name] = parameter


def check_optimizer(golden: GoldenFolder, subject: Subject) -> None:
    """All steps of the recorded run of BertAdam on a toy module."""
    file = golden.file('optimizer.npz')
    recorded = json.loads(str(file.recorded('groups')))
    toy = _Toy(file)
    options = dict(type='BertAdam', lr=1e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
    paramwise = dict(backbone_lr_mult=1e-3, decay='all_but_biases')
    constructor = RoleOptimWrapperConstructor(
        dict(type='OptimWrapper', optimizer=options), paramwise_cfg=paramwise
    )
    optimizer = constructor(toy).optimizer
    _check_groups(file, optimizer, recorded)
    schedule = WarmupCosineLR(optimizer, period=recorded[0]['t_total'], by_epoch=False)
    progress = range(len(file.recorded('lr_factor')))
    file.compare('lr_factor', [schedule.factor(step) for step in progress], TABLE)
    average = ExponentialMovingAverage(toy, momentum=EMA_MOMENTUM)
    averaged = dict(average.module.named_parameters())
    names = {
        name: key
        for key, value in toy.published.items()
        for name, p in toy.named_parameters()
        if p is value
    }
    step = 0
    while f'gnorm{step}' in file:
        for name, parameter in toy.published.items():
            parameter.grad = file.take(f'grad{step}:{name}').clone()
        norm = nn.utils.clip_grad_norm_(toy.parameters(), MAX_NORM)
        file.compare(f'gnorm{step}', norm, FLOAT32)
        optimizer.step()
        average.update_parameters(toy)
        schedule.step()
        for own, name in names.items():
            for kind, value in (('param', toy.published[name]), ('ema', averaged[own])):
                if f'{kind}{step}:{name}' in file:
                    file.compare(f'{kind}{step}:{name}', value, FLOAT32)
        step += 1


def _check_groups(file: GoldenFile, optimizer: BertAdam, recorded: list[dict]) -> None:
    """Number of tensors, learning rate, decay and constants of each group, in any order."""
    ours = sorted(
        (len(group['params']), group['lr'], group['weight_decay'], *group['betas'], group['eps'],
         group['max_grad_norm'])
        for group in optimizer.param_groups
    )  # fmt: skip
    names = ('n', 'lr', 'wd', 'b1', 'b2', 'e', 'max_grad_norm')
    theirs = sorted(tuple(group[name] for name in names) for group in recorded)
    file.add('groups', torch.tensor(ours, dtype=torch.float64), theirs, TABLE)
    file.used.add('groups')
