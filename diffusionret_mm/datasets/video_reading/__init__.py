"""Reading of the frames that a player shows, asked for by their number or time."""

from diffusionret_mm.datasets.video_reading.decoders import DECODERS
from diffusionret_mm.datasets.video_reading.limits import time_limit
from diffusionret_mm.datasets.video_reading.video import (
    FramesChangedError,
    ShownFrame,
    Video,
    open_video,
)

__all__ = ['DECODERS', 'FramesChangedError', 'ShownFrame', 'Video', 'open_video', 'time_limit']
