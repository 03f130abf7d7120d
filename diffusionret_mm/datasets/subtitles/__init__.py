"""Subtitles of videos: the files beside them, the tracks inside, and their lines."""

from diffusionret_mm.datasets.subtitles.files import find_subtitle_files
from diffusionret_mm.datasets.subtitles.lines import Line, Subtitles, text_between
from diffusionret_mm.datasets.subtitles.reading import read_subtitles

__all__ = ['Line', 'Subtitles', 'find_subtitle_files', 'read_subtitles', 'text_between']
