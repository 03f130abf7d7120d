"""Encoders of words and frames."""

from diffusionret_mm.models.backbones.base import TextVideoBackbone
from diffusionret_mm.models.backbones.feature_backbone import FeatureBackbone
from diffusionret_mm.models.backbones.open_clip_backbone import OpenCLIPBackbone

__all__ = ['FeatureBackbone', 'OpenCLIPBackbone', 'TextVideoBackbone']
