"""Transforms of an item; they compose with those of mmaction."""

from diffusionret_mm.datasets.transforms.caching import CacheInMemory
from diffusionret_mm.datasets.transforms.captions import TokenizeCaptions
from diffusionret_mm.datasets.transforms.frames import (
    CLIPResizeCrop,
    SampleVideoFrames,
    ShuffleFrames,
)
from diffusionret_mm.datasets.transforms.packing import PackTextVideoInputs

__all__ = [
    'CLIPResizeCrop',
    'CacheInMemory',
    'PackTextVideoInputs',
    'SampleVideoFrames',
    'ShuffleFrames',
    'TokenizeCaptions',
]
