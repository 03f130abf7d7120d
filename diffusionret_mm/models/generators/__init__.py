"""Diffusion over the candidates of a query."""

from diffusionret_mm.models.generators.denoiser import QueryCandidateDenoiser, QueryCandidates
from diffusionret_mm.models.generators.diffusion_generator import DIRECTIONS, DiffusionGenerator
from diffusionret_mm.models.generators.noise import (
    build_noise_scheduler,
    cosine_betas,
    linear_betas,
    start_noise,
)
from diffusionret_mm.models.generators.text_frame_attention import TextFrameAttentionHead
from diffusionret_mm.models.generators.unrolled import UnrolledDenoiser

__all__ = [
    'DIRECTIONS',
    'DiffusionGenerator',
    'QueryCandidateDenoiser',
    'QueryCandidates',
    'TextFrameAttentionHead',
    'UnrolledDenoiser',
    'build_noise_scheduler',
    'cosine_betas',
    'linear_betas',
    'start_noise',
]
