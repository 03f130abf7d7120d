"""BertAdam and its schedule against plain loops; recorded runs are in `test_parity`."""

import math

import pytest
import torch
from mmaction.registry import OPTIMIZERS, PARAM_SCHEDULERS

from diffusionret_mm.engine import BertAdam, TransformersAdamW, WarmupCosineLR


def step_by_loop(param, grad, state, lr, decay):
    norm = grad.norm().item()
    grad = grad * min(1.0, 1.0 / (norm + 1e-6))
    state['m'] = 0.9 * state['m'] + 0.1 * grad
    state['v'] = 0.98 * state['v'] + 0.02 * grad**2
    return param - lr * (state['m'] / (state['v'].sqrt() + 1e-6) + decay * param)


def test_equals_loop():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5,), ()]
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    expected = [param.detach().clone() for param in params]
    states = [dict(m=torch.zeros(shape), v=torch.zeros(shape)) for shape in shapes]
    optimizer = BertAdam(params, lr=1e-2, weight_decay=0.2)
    for step in range(5):
        for index, param in enumerate(params):
            param.grad = torch.randn(param.shape, generator=generator) * 10 ** (step - 2)
            expected[index] = step_by_loop(
                expected[index], param.grad, states[index], lr=1e-2, decay=0.2
            )
        optimizer.step()
    for param, value in zip(params, expected, strict=True):
        torch.testing.assert_close(param.detach(), value, rtol=1e-5, atol=1e-6)


def test_the_adam_of_transformers_equals_a_loop():
    generator = torch.Generator().manual_seed(0)
    param = torch.nn.Parameter(torch.randn(4, generator=generator))
    optimizer = TransformersAdamW([param], lr=1e-2, weight_decay=0.2)
    expected, m, v = param.detach().clone(), torch.zeros(4), torch.zeros(4)
    for step in range(1, 6):
        param.grad = torch.randn(4, generator=generator) * 10 ** (step - 5)
        m = 0.9 * m + 0.1 * param.grad
        v = 0.999 * v + 0.001 * param.grad**2
        rate = 1e-2 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected = expected - rate * m / (v.sqrt() + 1e-6)
        expected = expected - 1e-2 * 0.2 * expected
        optimizer.step()
        torch.testing.assert_close(param.detach(), expected, rtol=1e-5, atol=1e-7)


def test_parameters_without_gradient_stay():
    params = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))]
    params[0].grad = torch.ones(2)
    optimizer = BertAdam(params, lr=0.1)
    assert optimizer.step(lambda: torch.tensor(3.0)) == 3.0
    assert params[0][0] != 1
    assert params[1].tolist() == [1, 1]


def test_state_is_saved_and_loaded():
    def run(steps, optimizer, param):
        for step in steps:
            param.grad = torch.full((3,), 0.1 * step)
            optimizer.step()

    whole, first, second = (torch.nn.Parameter(torch.ones(3)) for _ in range(3))
    run(range(6), BertAdam([whole], lr=0.1), whole)
    before = BertAdam([first], lr=0.1)
    run(range(3), before, first)
    second.data.copy_(first.data)
    after = BertAdam([second], lr=0.1)
    after.load_state_dict(before.state_dict())
    run(range(3, 6), after, second)
    assert torch.equal(whole, second)


@pytest.mark.parametrize('options', [dict(lr=-1.0), dict(betas=(0.9, 1.0)), dict(eps=-1.0)])
def test_optimizer_refuses(options):
    with pytest.raises(ValueError, match='must not be negative'):
        BertAdam([torch.nn.Parameter(torch.ones(1))], **options)


def rates(schedule, optimizer, steps):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return found


def test_schedule():
    optimizer = BertAdam([torch.nn.Parameter(torch.ones(1))], lr=2.0)
    schedule = WarmupCosineLR(optimizer, period=20, by_epoch=False)
    cosine = [1 + math.cos(math.pi * step / 20) for step in range(2, 30)]
    assert rates(schedule, optimizer, 30) == pytest.approx([0.0, 1.0, *cosine])


def test_schedule_of_epochs_counts_iterations():
    optimizer = OPTIMIZERS.build(
        dict(type='BertAdam', params=[torch.nn.Parameter(torch.ones(1))], lr=2.0)
    )
    schedule = PARAM_SCHEDULERS.get('WarmupCosineLR').build_iter_from_epoch(
        optimizer, period=5, epoch_length=4
    )
    assert not schedule.by_epoch
    assert rates(schedule, optimizer, 3) == pytest.approx([0.0, 1.0, 1 + math.cos(math.pi * 0.1)])


@pytest.mark.parametrize('options', [dict(period=0), dict(warmup=1.0), dict(warmup=-0.1)])
def test_schedule_refuses(options):
    optimizer = BertAdam([torch.nn.Parameter(torch.ones(1))])
    with pytest.raises(ValueError, match='period must be positive'):
        WarmupCosineLR(optimizer, **options)
    with pytest.raises(ValueError, match='known length'):
        WarmupCosineLR.build_iter_from_epoch(optimizer)
