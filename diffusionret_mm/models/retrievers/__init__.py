"""Complete models."""

from diffusionret_mm.models.retrievers.diffusion_ret import DiffusionRet
from diffusionret_mm.models.retrievers.generative_ret import GenerativeRet
from diffusionret_mm.models.retrievers.hbi import HBI
from diffusionret_mm.models.retrievers.teach_text import TeachTextDistillation
from diffusionret_mm.models.retrievers.text_diff import TextDiff
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.models.retrievers.tmass import TMASS

__all__ = [
    'HBI',
    'TMASS',
    'DiffusionRet',
    'GenerativeRet',
    'TeachTextDistillation',
    'TextDiff',
    'TextVideoRetriever',
]
