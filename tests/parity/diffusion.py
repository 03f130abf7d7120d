"""Noise schedules, the denoiser, one reverse step and the whole DDIM trajectory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.models.generators import (
    DiffusionGenerator,
    QueryCandidates,
    build_noise_scheduler,
)
from diffusionret_mm.models.generators.noise import NOISE_SCHEDULES
from diffusionret_mm.models.losses import GenerationKLLoss
from parity.encoders import Subject
from parity.golden import (
    DIFFUSION,
    EXACT,
    FLOAT32,
    LOSS,
    TABLE,
    GoldenFile,
    GoldenFolder,
)

DIRECTIONS = ('t2v', 'v2t')


def check_schedules(golden: GoldenFolder, subject: Subject) -> None:
    """Tables in float64 from our betas; what the scheduler holds, in float32; noising."""
    file = golden.file('schedule.npz')
    for name in sorted({key.split('.')[0] for key in file.arrays if '.' in key}):
        kind, steps = name.rstrip('0123456789'), int(name.lstrip('abcdefghijklmnopqrstuvwxyz'))
        tables = _tables(NOISE_SCHEDULES[kind](steps))
        for key in [key for key in file.arrays if key.startswith(f'{name}.')]:
            file.compare(key, tables[key.removeprefix(f'{name}.')], TABLE)
        held = build_noise_scheduler(dict(type='DDIMScheduler'), kind, steps).alphas_cumprod
        recorded = file.recorded(f'{name}.alphas_cumprod')
        file.add(f'{name}: alphas_cumprod of the scheduler', held, recorded, FLOAT32)
    scheduler = subject.model.generators['t2v'].scheduler
    noised = scheduler.add_noise(file.take('q_x0'), file.take('q_noise'), file.take('q_t'))
    file.compare('q_sample', noised, DIFFUSION)


def _tables(betas: np.ndarray) -> dict[str, np.ndarray]:
    """All that the published tables hold follows from the betas (Ho et al. 2020)."""
    kept = np.cumprod(1 - betas)
    before, behind = np.append(1.0, kept[:-1]), np.append(kept[1:], 0.0)
    variance = betas * (1 - before) / (1 - kept)
    return dict(
        betas=betas,
        raw_betas=betas,
        alphas_cumprod=kept,
        alphas_cumprod_prev=before,
        alphas_cumprod_next=behind,
        sqrt_alphas_cumprod=np.sqrt(kept),
        sqrt_one_minus_alphas_cumprod=np.sqrt(1 - kept),
        log_one_minus_alphas_cumprod=np.log(1 - kept),
        sqrt_recip_alphas_cumprod=np.sqrt(1 / kept),
        sqrt_recipm1_alphas_cumprod=np.sqrt(1 / kept - 1),
        posterior_variance=variance,
        # The first variance is 0; its logarithm is replaced by the next one's.
        posterior_log_variance_clipped=np.log(np.append(variance[1], variance[1:])),
        posterior_mean_coef1=betas * np.sqrt(before) / (1 - kept),
        posterior_mean_coef2=(1 - before) * np.sqrt(1 - betas) / (1 - kept),
    )


@torch.no_grad()
def check_denoiser(golden: GoldenFolder, subject: Subject) -> None:
    """Predictions at several steps, the reverse step's distribution, and the training loss."""
    file, generators = golden.file('denoiser.npz'), subject.model.generators
    steps = torch.arange(generators['t2v'].num_train_steps)
    for direction in DIRECTIONS:
        generator = generators[direction]
        context = recorded_context(file, direction, generator)
        times = generator.denoiser.embed_time(steps)
        file.compare(f'time_emb_{direction}', times, DIFFUSION)
        x, t = file.take('x'), file.take('t')
        output = torch.stack([generator.denoiser(x, step, context) for step in t])
        file.compare(f'{direction}_out', output, DIFFUSION)
        _check_reverse_step(file, direction, x, t, output)
        _check_loss(file, direction, generator, context)


def recorded_context(
    file: GoldenFile, direction: str, generator: DiffusionGenerator
) -> QueryCandidates:
    """Prepare the generator for the recorded queries and candidates."""
    return generator.context(
        file.take(f'{direction}_text_emb'),
        file.take(f'{direction}_video_emb'),
        file.take(f'{direction}_video_mask').bool(),
    )


def _check_reverse_step(
    file: GoldenFile, direction: str, x: Tensor, t: Tensor, output: Tensor
) -> None:
    """Mean and variance of x_{t-1} (`p_mean_variance`), from our betas in float64."""
    tables = {name: torch.from_numpy(table) for name, table in _tables(_cosine50()).items()}
    rows = {
        name: table[t][..., None].expand(*t.shape, x.shape[1]) for name, table in tables.items()
    }
    for kind, predicted in (('pmv', output.clamp(-1, 1)), ('pmv_noclip', output)):
        mean = rows['posterior_mean_coef1'] * predicted + rows['posterior_mean_coef2'] * x
        file.compare(f'{direction}_{kind}_pred_xstart', predicted, DIFFUSION)
        file.compare(f'{direction}_{kind}_mean', mean, DIFFUSION)
    variance, log_variance = rows['posterior_variance'], rows['posterior_log_variance_clipped']
    file.compare(f'{direction}_pmv_variance', variance, FLOAT32)
    file.compare(f'{direction}_pmv_log_variance', log_variance, FLOAT32)


def _cosine50() -> np.ndarray:
    return NOISE_SCHEDULES['cosine'](50)


def _check_loss(
    file: GoldenFile, direction: str, generator: DiffusionGenerator, context: QueryCandidates
) -> None:
    noise, t = file.take(f'{direction}_kl_noise'), file.take('kl_t')
    generator.negative_value = float(file.recorded('kl_x_start').min())
    file.compare('kl_x_start', generator.ideal(noise), EXACT)
    prediction = generator(context, t, noise)
    for scale in (1, 100):
        loss = GenerationKLLoss(scale=float(scale))(prediction)
        file.compare(f'{direction}_kl_loss_temp{scale}', loss, LOSS)


@torch.no_grad()
def check_ddim(golden: GoldenFolder, subject: Subject) -> None:
    """All 50 states and predictions, from the recorded start noise."""
    file, inputs = golden.file('ddim.npz'), golden.file('denoiser.npz')
    file.used.add('inputs_in')  # says where the conditions are
    start = file.take('x_T')
    for direction in DIRECTIONS:
        generator = subject.model.generators[direction]
        context = recorded_context(inputs, direction, generator)
        states = generator.sample(context, start, return_trajectory=True)
        file.compare(f'{direction}_sample', states, DIFFUSION)
        steps = torch.arange(len(states) - 1, -1, -1)
        predictions = [
            generator.denoiser(x, step[None], context).clamp(-1, 1)
            for x, step in zip([start, *states[:-1]], steps, strict=True)
        ]
        file.compare(f'{direction}_pred_xstart', torch.stack(predictions), DIFFUSION)
