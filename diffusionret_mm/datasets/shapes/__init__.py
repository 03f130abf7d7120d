"""The data set "shapes": short clips of moving figures, rendered by the project itself."""

from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.datasets.shapes.dataset import ShapesDataset

__all__ = ['ShapesDataset', 'render_shapes']
