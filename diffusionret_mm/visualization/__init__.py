"""Pictures: functions from arrays to figures, one file each, and what makes the arrays.

`pictures` draws what an evaluation left, `explain` asks the model, `run_report` and `page`
write web pages. Figures are matplotlib's; `to_image` makes of them what mmengine's `Visualizer`
takes.
"""

from diffusionret_mm.visualization.attention import WordFrameMatch, draw_attention
from diffusionret_mm.visualization.curves import draw_curves
from diffusionret_mm.visualization.diffusion import DiffusionProcess, draw_diffusion
from diffusionret_mm.visualization.errors import ErrorTables
from diffusionret_mm.visualization.explain import (
    PictureError,
    frame_attention,
    match_words,
    trace_diffusion,
)
from diffusionret_mm.visualization.page import Picture, Section, Table, write_page
from diffusionret_mm.visualization.pictures import SplitPictures, read_sample
from diffusionret_mm.visualization.recall import draw_recall
from diffusionret_mm.visualization.retrieval import RankedVideo, draw_retrieval
from diffusionret_mm.visualization.run_report import Report
from diffusionret_mm.visualization.samples import Sample, draw_samples, write_samples_page
from diffusionret_mm.visualization.scalars import TrainingScalars, read_scalars
from diffusionret_mm.visualization.similarity import draw_similarity
from diffusionret_mm.visualization.style import encode_png, evenly, to_image

__all__ = [
    'DiffusionProcess',
    'ErrorTables',
    'Picture',
    'PictureError',
    'RankedVideo',
    'Report',
    'Sample',
    'Section',
    'SplitPictures',
    'Table',
    'TrainingScalars',
    'WordFrameMatch',
    'draw_attention',
    'draw_curves',
    'draw_diffusion',
    'draw_recall',
    'draw_retrieval',
    'draw_samples',
    'draw_similarity',
    'encode_png',
    'evenly',
    'frame_attention',
    'match_words',
    'read_sample',
    'read_scalars',
    'to_image',
    'trace_diffusion',
    'write_page',
    'write_samples_page',
]
