"""What `tools/data/prepare.py` does: check a data set, compress its videos, store its frames."""

from diffusionret_mm.datasets.preparation.check import Preparation, check_dataset
from diffusionret_mm.datasets.preparation.compression import compress_videos
from diffusionret_mm.datasets.preparation.frame_store import frame_transforms, store_frames
from diffusionret_mm.datasets.preparation.splits import SPLITS

__all__ = [
    'SPLITS',
    'Preparation',
    'check_dataset',
    'compress_videos',
    'frame_transforms',
    'store_frames',
]
