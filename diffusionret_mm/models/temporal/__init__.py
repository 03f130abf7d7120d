"""Modules that put frames into the context of their video."""

from diffusionret_mm.models.temporal.temporal_transformer import TemporalTransformer

__all__ = ['TemporalTransformer']
