"""Encoders of words and frames."""

from diffusionret_mm.models.backbones.base import TextVideoBackbone
from diffusionret_mm.models.backbones.open_clip_backbone import OpenCLIPBackbone

__all__ = ['OpenCLIPBackbone', 'TextVideoBackbone']
