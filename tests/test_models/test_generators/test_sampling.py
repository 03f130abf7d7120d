import pytest
import torch

from diffusionret_mm.models.generators import build_noise_scheduler
from diffusionret_mm.models.generators.sampling import LinearRun, SchedulerRun


def ddim(**options):
    return build_noise_scheduler(dict(type='DDIMScheduler', **options), 'cosine', 50)


@pytest.mark.parametrize('num_steps', [1, 3, 10, 50])
def test_a_linear_run_goes_as_the_scheduler_does(num_steps):
    predictions = torch.rand(num_steps, 4, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    start = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    linear, plain = LinearRun(ddim(), num_steps), SchedulerRun(ddim(), num_steps, start)
    x = start
    for step, prediction in enumerate(predictions):
        expected = plain.next_state(plain.input_of(x, step), step, prediction)
        x = linear.next_state(linear.input_of(x, step), step, prediction)
        torch.testing.assert_close(x, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('candidates', [1, 5])
def test_a_row_draws_by_the_bits_of_its_first_start_noise(candidates):
    start, prediction = torch.randn(2, 3, candidates)
    scheduler = build_noise_scheduler(dict(type='DDPMScheduler'), 'cosine', 50)
    run = SchedulerRun(scheduler, 10, start)
    seeds = start[:, 0].numpy().view('int32').tolist()
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    scheduler.set_timesteps(10)
    for step, t in enumerate(scheduler.timesteps[:2]):
        expected = scheduler.step(prediction, t, start, generator=generators).prev_sample
        assert torch.equal(run.next_state(start, step, prediction), expected)


def test_which_schedulers_are_linear():
    assert LinearRun.is_linear(ddim())
    assert not LinearRun.is_linear(ddim(thresholding=True))
    assert not LinearRun.is_linear(ddim(clip_sample=True))
    for name in ('DDPMScheduler', 'DPMSolverMultistepScheduler', 'UniPCMultistepScheduler'):
        assert not LinearRun.is_linear(build_noise_scheduler(dict(type=name), 'cosine', 50))
