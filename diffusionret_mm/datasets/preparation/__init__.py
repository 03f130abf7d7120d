"""What `tools/data/prepare.py` does: check a data set, compress its videos, store its frames."""

from diffusionret_mm.datasets.preparation.check import Preparation, check_dataset
from diffusionret_mm.datasets.preparation.compression import compress_videos
from diffusionret_mm.datasets.preparation.contents import data_sets
from diffusionret_mm.datasets.preparation.frame_store import frame_transforms, store_frames

__all__ = [
    'Preparation',
    'check_dataset',
    'compress_videos',
    'data_sets',
    'frame_transforms',
    'store_frames',
]
