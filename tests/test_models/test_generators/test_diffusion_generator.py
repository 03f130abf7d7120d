from copy import deepcopy

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.generators import build_noise_scheduler


def build(direction='t2v', **kwargs):
    torch.manual_seed(0)
    generator = MODELS.build(
        dict(
            type='DiffusionGenerator',
            direction=direction,
            denoiser=dict(type='QueryCandidateDenoiser', width=16),
            **kwargs,
        )
    )
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return generator


def inputs(direction, n=4, candidates=6, frames=3):
    many_videos = direction == 't2v'
    text = torch.randn(n, 16) if many_videos else torch.randn(n, candidates, 16)
    shape = (n, candidates, frames) if many_videos else (n, frames)
    return text, torch.randn(*shape, 16), torch.ones(shape, dtype=torch.bool)


@pytest.mark.parametrize('direction', ['t2v', 'v2t'])
def test_ddim_equals_its_equations(direction):
    generator = build(direction)
    context = generator.context(*inputs(direction))
    noise = torch.randn(4, 6)
    states = generator.sample(context, noise, return_trajectory=True)
    kept = generator.scheduler.alphas_cumprod
    x = noise
    for step, t in enumerate(range(49, -1, -1)):
        x0 = generator.denoiser(x, torch.tensor([t]), context).clamp(-1, 1)
        eps = (x - kept[t].sqrt() * x0) / (1 - kept[t]).sqrt()
        previous = kept[t - 1] if t else torch.tensor(1.0)
        x = previous.sqrt() * x0 + (1 - previous).sqrt() * eps
        torch.testing.assert_close(states[step], x, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(generator.sample(context, noise), states[-1])


def test_a_scheduler_that_scales_the_noise_and_the_input():
    generator = build(scheduler=dict(type='EulerDiscreteScheduler'), num_sample_steps=5)
    context, noise = generator.context(*inputs('t2v')), torch.randn(4, 6)
    scheduler = build_noise_scheduler(dict(type='EulerDiscreteScheduler'), 'cosine', 50)
    scheduler.set_timesteps(5)
    assert scheduler.init_noise_sigma > 100
    x = noise * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x_t = scheduler.scale_model_input(x, t)
        x0 = generator.denoiser(x_t, t[None].long(), context).clamp(-1, 1)
        x = scheduler.step(x0, t, x).prev_sample
    torch.testing.assert_close(generator.sample(context, noise), x, rtol=1e-4, atol=1e-4)


SCHEDULERS = [
    dict(type='DDIMScheduler'),
    dict(type='DDPMScheduler'),
    dict(type='DPMSolverMultistepScheduler'),
    dict(type='DPMSolverMultistepScheduler', algorithm_type='sde-dpmsolver++'),
    dict(type='UniPCMultistepScheduler'),
]


@pytest.mark.parametrize('scheduler', SCHEDULERS, ids=lambda cfg: '-'.join(cfg.values()))
def test_a_query_is_sampled_alike_in_any_batch(scheduler):
    generator = build(scheduler=scheduler, num_sample_steps=5)
    text, frames, mask = inputs('t2v')
    noise = torch.randn(4, 6)
    together = generator.sample(generator.context(text, frames, mask), noise)
    alone = generator.sample(generator.context(text[2:3], frames[2:3], mask[2:3]), noise[2:3])
    assert together.isfinite().all()
    torch.testing.assert_close(alone[0], together[2], rtol=1e-4, atol=1e-4)


def test_training_pass_denoises_the_ideal_distribution():
    generator = build(negative_value=-1.0)
    context = generator.context(*inputs('t2v'))
    t, noise = torch.tensor([0, 10, 30, 49]), torch.randn(4, 6)
    kept = generator.scheduler.alphas_cumprod[t][:, None]
    x_start = torch.full((4, 6), -1.0)
    x_start[:, 0] = 1.0
    x_t = kept.sqrt() * x_start + (1 - kept).sqrt() * noise
    torch.testing.assert_close(
        generator(context, t, noise), generator.denoiser(x_t, t, context), rtol=1e-4, atol=1e-4
    )


def test_what_is_taken_if_nothing_is_said():
    generator = build()
    assert generator.ideal(torch.randn(2, 3)).tolist() == [[1, 0, 0]] * 2
    context, noise = generator.context(*inputs('t2v')), torch.randn(4, 6)
    denoiser = generator.unroll()
    rows = denoiser.start(context.query, denoiser.project(context.candidates))
    assert generator.run(denoiser, rows, noise).shape == (4, 6)  # the last state alone


class TestUnrolledIsKept:
    def test_while_nothing_changes(self):
        generator = build()
        assert generator.unroll() is generator.unroll()

    def test_not_after_a_write_that_no_version_counter_shows(self):
        generator = build()
        before, weight = generator.unroll(), generator.denoiser.k_proj.weight
        version = weight._version
        weight.data.mul_(2)
        assert weight._version == version
        torch.testing.assert_close(generator.unroll().match, 2 * before.match)

    def test_not_for_other_steps_or_another_dtype(self):
        generator = build()
        before = generator.unroll()
        generator.set_sampler(dict(type='DDIMScheduler'), 7)
        assert len(generator.unroll().shared) == 7 < len(before.shared)
        assert generator.double().unroll().match.dtype == torch.float64

    def test_and_a_copy_of_the_generator_follows_its_own_weights(self):
        generator = build()
        kept = generator.unroll()
        copied = deepcopy(generator)
        copied.denoiser.decoder[2].weight.data.zero_()
        assert not copied.unroll().last.weight.any()
        assert generator.unroll() is kept
        assert kept.last.weight.any()


def test_bad_options():
    with pytest.raises(ValueError, match='direction must be one of'):
        build('t2t')
    with pytest.raises(ValueError, match='num_sample_steps must be in'):
        build(num_sample_steps=51)
    generator = build(num_sample_steps=1)
    with pytest.raises(ValueError, match=r'in 1\.\.num_train_steps \(50\); got 0'):
        generator.set_sampler(dict(type='DDIMScheduler'), 0)
