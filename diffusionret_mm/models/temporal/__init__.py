"""Frames in the context of their video."""

from diffusionret_mm.models.temporal.base import TemporalModule
from diffusionret_mm.models.temporal.temporal_lstm import TemporalLSTM
from diffusionret_mm.models.temporal.temporal_transformer import TemporalTransformer

__all__ = ['TemporalLSTM', 'TemporalModule', 'TemporalTransformer']
