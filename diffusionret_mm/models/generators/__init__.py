"""Diffusion: over the candidates of a query, and of a text embedding."""

from diffusionret_mm.models.generators.denoiser import QueryCandidateDenoiser, QueryCandidates
from diffusionret_mm.models.generators.diffusion_generator import DIRECTIONS, DiffusionGenerator
from diffusionret_mm.models.generators.noise import (
    build_noise_scheduler,
    cosine_betas,
    linear_betas,
    start_noise,
)
from diffusionret_mm.models.generators.text_denoiser import TextContext, TextDenoiser, scaled
from diffusionret_mm.models.generators.text_diffusion import TextDiffusion
from diffusionret_mm.models.generators.text_frame_attention import (
    TextFrameAttentionHead,
    TextFramePooling,
)
from diffusionret_mm.models.generators.unrolled import UnrolledDenoiser

__all__ = [
    'DIRECTIONS',
    'DiffusionGenerator',
    'QueryCandidateDenoiser',
    'QueryCandidates',
    'TextContext',
    'TextDenoiser',
    'TextDiffusion',
    'TextFrameAttentionHead',
    'TextFramePooling',
    'UnrolledDenoiser',
    'build_noise_scheduler',
    'cosine_betas',
    'linear_betas',
    'scaled',
    'start_noise',
]
