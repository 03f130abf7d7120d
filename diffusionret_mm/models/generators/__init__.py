"""Diffusion: over the candidates of a query, and of a text embedding."""

from diffusionret_mm.models.generators.base import (
    DIRECTIONS,
    CandidateContext,
    CandidateGenerator,
    CandidateRows,
    CandidateSampler,
)
from diffusionret_mm.models.generators.candidate_list import (
    CandidateListDenoiser,
    CandidateListHead,
)
from diffusionret_mm.models.generators.denoiser import QueryCandidateDenoiser, QueryCandidates
from diffusionret_mm.models.generators.diffusion_generator import DiffusionGenerator
from diffusionret_mm.models.generators.listwise import ListwiseReranker
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
from diffusionret_mm.models.generators.token_pairs import PairVectors, TokenPairEncoder
from diffusionret_mm.models.generators.unrolled import UnrolledDenoiser

__all__ = [
    'DIRECTIONS',
    'CandidateContext',
    'CandidateGenerator',
    'CandidateListDenoiser',
    'CandidateListHead',
    'CandidateRows',
    'CandidateSampler',
    'DiffusionGenerator',
    'ListwiseReranker',
    'PairVectors',
    'QueryCandidateDenoiser',
    'QueryCandidates',
    'TextContext',
    'TextDenoiser',
    'TextDiffusion',
    'TextFrameAttentionHead',
    'TextFramePooling',
    'TokenPairEncoder',
    'UnrolledDenoiser',
    'build_noise_scheduler',
    'cosine_betas',
    'linear_betas',
    'scaled',
    'start_noise',
]
