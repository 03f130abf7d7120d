"""Data sets of videos with captions, and how their items are read."""

from diffusionret_mm.datasets.msrvtt import MSRVTTDataset
from diffusionret_mm.datasets.samplers import GroupSampler
from diffusionret_mm.datasets.shapes import ShapesDataset
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.transforms import *  # noqa: F403

__all__ = ['GroupSampler', 'MSRVTTDataset', 'ShapesDataset', 'TextVideoDataset']
