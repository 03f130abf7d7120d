"""Transforms of an item; they compose with those of mmaction."""

from diffusionret_mm.datasets.transforms.augmenting import AugmentFrames
from diffusionret_mm.datasets.transforms.caching import CacheInMemory
from diffusionret_mm.datasets.transforms.captions import TokenizeCaptions
from diffusionret_mm.datasets.transforms.decode_video import DecodeVideo
from diffusionret_mm.datasets.transforms.frames import SampleVideoFrames, ShuffleFrames, ThinFrames
from diffusionret_mm.datasets.transforms.packing import PackTextVideoInputs
from diffusionret_mm.datasets.transforms.resizing import CLIPResizeCrop
from diffusionret_mm.datasets.transforms.stored_frames import LoadStoredFrames

__all__ = [
    'AugmentFrames',
    'CLIPResizeCrop',
    'CacheInMemory',
    'DecodeVideo',
    'LoadStoredFrames',
    'PackTextVideoInputs',
    'SampleVideoFrames',
    'ShuffleFrames',
    'ThinFrames',
    'TokenizeCaptions',
]
