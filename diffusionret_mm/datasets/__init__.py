"""Data sets of videos with captions, and how their items are read."""

from diffusionret_mm.datasets.activitynet import ActivityNetCaptionsDataset
from diffusionret_mm.datasets.didemo import DiDeMoDataset
from diffusionret_mm.datasets.lsmdc import LSMDCDataset
from diffusionret_mm.datasets.msrvtt import MSRVTTDataset
from diffusionret_mm.datasets.msvd import MSVDDataset
from diffusionret_mm.datasets.samplers import GroupSampler
from diffusionret_mm.datasets.shapes import ShapesDataset
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.datasets.transforms import *  # noqa: F403

__all__ = [
    'ActivityNetCaptionsDataset',
    'DiDeMoDataset',
    'GroupSampler',
    'LSMDCDataset',
    'MSRVTTDataset',
    'MSVDDataset',
    'ShapesDataset',
    'TextVideoDataset',
]
