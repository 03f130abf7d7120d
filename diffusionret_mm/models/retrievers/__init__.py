"""Complete models."""

from diffusionret_mm.models.retrievers.diffusion_ret import DiffusionRet
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever

__all__ = ['DiffusionRet', 'TextVideoRetriever']
