"""Spans of a video, and the frames of all of them in one pass through the file."""

from diffusionret_mm.datasets.spans.moments import MOMENTS, Moments
from diffusionret_mm.datasets.spans.planning import PlannedSpan
from diffusionret_mm.datasets.spans.reading import SpanReader
from diffusionret_mm.datasets.spans.streaming import StreamedSpan

__all__ = ['MOMENTS', 'Moments', 'PlannedSpan', 'SpanReader', 'StreamedSpan']
