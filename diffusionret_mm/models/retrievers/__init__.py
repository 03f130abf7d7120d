"""Complete models."""

from diffusionret_mm.models.retrievers.diffusion_ret import DiffusionRet
from diffusionret_mm.models.retrievers.text_diff import TextDiff
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.models.retrievers.tmass import TMASS

__all__ = ['TMASS', 'DiffusionRet', 'TextDiff', 'TextVideoRetriever']
