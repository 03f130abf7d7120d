import numpy as np
import pytest
import torch

from diffusionret_mm.models.generators import (
    build_noise_scheduler,
    cosine_betas,
    linear_betas,
    start_noise,
)


def test_cosine_schedule_has_the_published_values():
    kept = np.cumprod(1 - cosine_betas(50))
    np.testing.assert_allclose(
        kept[[0, 24, 48, 49]], [0.9982525, 0.4938436, 9.711930e-4, 9.711930e-7], rtol=1e-6
    )


def test_linear_schedule_scales_with_its_length():
    np.testing.assert_allclose(linear_betas(1000)[[0, -1]], [1e-4, 0.02], rtol=1e-12)
    np.testing.assert_allclose(linear_betas(50)[[0, -1]], [2e-3, 0.4], rtol=1e-12)
    assert linear_betas(20)[-1] == 1
    with pytest.raises(ValueError, match='at least 20 steps; got 19'):
        linear_betas(19)


@pytest.mark.parametrize('steps', [50, 10, 3])
@pytest.mark.parametrize('name', ['DDIMScheduler', 'DPMSolverMultistepScheduler'])
def test_sampling_starts_at_pure_noise(name, steps):
    scheduler = build_noise_scheduler(dict(type=name), 'cosine', 50)
    scheduler.set_timesteps(steps)
    assert len(scheduler.timesteps) == steps
    assert scheduler.timesteps[0] == 49


def test_unknown_names():
    with pytest.raises(ValueError, match='has no scheduler'):
        build_noise_scheduler(dict(type='UNet2DModel'), 'cosine', 50)
    with pytest.raises(ValueError, match='noise_schedule must be one of'):
        build_noise_scheduler({}, 'quadratic', 50)


def test_start_noise_depends_on_seed_and_index_alone():
    table = start_noise(torch.arange(300), 32, seed=3)
    chosen = torch.tensor([250, 7, 7])
    torch.testing.assert_close(start_noise(chosen, 32, seed=3), table[chosen], rtol=0, atol=0)
    assert not torch.equal(start_noise(torch.arange(300), 32, seed=4), table)
    assert table.mean().abs() < 0.05
    assert table.std().item() == pytest.approx(1.0, abs=0.03)
    assert start_noise(torch.tensor([], dtype=torch.int64), 4, seed=0).shape == (0, 4)
