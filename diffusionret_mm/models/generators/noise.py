"""Noise: schedules, the adapter to the schedulers of diffusers, and start noise."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

COSINE_OFFSET = 0.008
MAX_BETA = 0.999


def cosine_betas(num_steps: int) -> np.ndarray:
    """Return the cosine schedule (Nichol & Dhariwal 2021, eq. 17), float64 [num_steps].

    beta_i = min(1 - f((i + 1) / T) / f(i / T), 0.999) with f(u) = cos^2((u + s) / (1 + s) pi / 2).
    """
    time = np.arange(num_steps + 1, dtype=np.float64) / num_steps
    kept = np.cos((time + COSINE_OFFSET) / (1 + COSINE_OFFSET) * np.pi / 2) ** 2
    return np.minimum(1 - kept[1:] / kept[:-1], MAX_BETA)


def linear_betas(num_steps: int) -> np.ndarray:
    """Return the linear schedule of Ho et al. (2020) rescaled to T steps, float64 [num_steps].

    It runs from 0.1 / T to 20 / T, which is 1e-4 to 0.02 at T = 1000.

    Raises:
        ValueError: below 20 steps, where the last beta would exceed 1.
    """
    if num_steps < 20:
        raise ValueError(f'The linear schedule needs at least 20 steps; got {num_steps}.')
    return np.linspace(0.1 / num_steps, 20 / num_steps, num_steps, dtype=np.float64)


NOISE_SCHEDULES = {'cosine': cosine_betas, 'linear': linear_betas}


def build_noise_scheduler(
    scheduler: Mapping[str, Any], noise_schedule: str, num_train_steps: int
) -> Any:
    """Build a scheduler of diffusers that works on predictions of x_0.

    Args:
        scheduler: `dict(type=NAME, ...)` with the name of a class in `diffusers.schedulers`
            ('DDIMScheduler', 'DPMSolverMultistepScheduler', ...) and its own arguments.
        noise_schedule: 'cosine' or 'linear'.
        num_train_steps: number T of diffusion steps.

    Returns:
        The scheduler. Steps are spaced so that sampling starts at pure noise (step T - 1) whatever
        the number of steps. It does not clip: the generator clips the prediction itself, the same
        way for every scheduler.

    Raises:
        ValueError: if the schedule or the scheduler is unknown.
    """
    if noise_schedule not in NOISE_SCHEDULES:
        raise ValueError(
            f'noise_schedule must be one of {sorted(NOISE_SCHEDULES)}; got {noise_schedule!r}.'
        )
    options = dict(scheduler)
    cls = _scheduler_class(options.pop('type', 'DDIMScheduler'))
    preset = {
        'num_train_timesteps': num_train_steps,
        'trained_betas': NOISE_SCHEDULES[noise_schedule](num_train_steps).tolist(),
        'prediction_type': 'sample',
        'timestep_spacing': 'trailing',
        'clip_sample': False,
    }
    accepted = inspect.signature(cls).parameters
    return cls(**{key: value for key, value in preset.items() if key in accepted} | options)


def _scheduler_class(name: str) -> type:
    # Importing diffusers takes a second, which only those who build a generator should pay.
    import diffusers
    from diffusers.schedulers.scheduling_utils import SchedulerMixin

    cls = getattr(diffusers, name, None)
    if not (isinstance(cls, type) and issubclass(cls, SchedulerMixin)):
        raise ValueError(
            f'diffusers has no scheduler {name!r}; try DDIMScheduler, DDPMScheduler, '
            'DPMSolverMultistepScheduler or UniPCMultistepScheduler.'
        )
    return cls


def start_noise(query_index: Tensor, num_candidates: int, seed: int | Sequence[int]) -> Tensor:
    """Draw the start noise x_T of queries, each query its own.

    The noise of a query depends on the seed, its index and the number of candidates alone: not on
    the batch, the order, the chunk or the number of processes.

    Args:
        query_index: index of each query in its split, shape [n], int64.
        num_candidates: number K of candidates.
        seed: seed of the evaluation, one integer or several.

    Returns:
        Standard normal noise of shape [n, K], float32, on the device of `query_index`.
    """
    rows = query_index.tolist()
    # Sizes are powers of two, so that chunks of queries share a few tables.
    num_rows = 1 << max(rows, default=0).bit_length()
    key = seed if isinstance(seed, int) else tuple(seed)
    table = _noise_table(key, num_rows, num_candidates)
    return torch.from_numpy(table[rows]).to(query_index.device)


@lru_cache(maxsize=4)
def _noise_table(seed: int | tuple[int, ...], num_rows: int, num_columns: int) -> np.ndarray:
    """Draw a table; one stream fills it row by row, so no row depends on how many follow it."""
    return np.random.default_rng(seed).standard_normal((num_rows, num_columns), dtype=np.float32)
