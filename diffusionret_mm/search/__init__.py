"""Galleries of videos on disk, and search in them."""

from diffusionret_mm.search.catalogue import VideoFile
from diffusionret_mm.search.gallery import Gallery, GalleryError
from diffusionret_mm.search.steps import (
    Hit,
    SearchResult,
    match_sentences,
    search_like,
    search_texts,
)
from diffusionret_mm.search.writing import GalleryWriter, writing_gallery

__all__ = [
    'Gallery',
    'GalleryError',
    'GalleryWriter',
    'Hit',
    'SearchResult',
    'VideoFile',
    'match_sentences',
    'search_like',
    'search_texts',
    'writing_gallery',
]
