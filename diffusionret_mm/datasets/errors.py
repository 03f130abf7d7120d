"""What can be wrong with a data set."""

from __future__ import annotations


class AnnotationError(ValueError):
    """An annotation file says something that cannot be."""


class VideoReadError(RuntimeError):
    """A video cannot be read."""
