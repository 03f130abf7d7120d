"""Galleries of videos, and search in them."""

from diffusionret_mm.search.candidates import Searchers
from diffusionret_mm.search.confidence import check_confidence, check_probability
from diffusionret_mm.search.errors import GalleryError
from diffusionret_mm.search.gallery import Gallery, facts_of, spans_of
from diffusionret_mm.search.hits import Hit, SearchResult, SentenceHit, hide_unsure
from diffusionret_mm.search.libraries import Libraries
from diffusionret_mm.search.maintenance import maintain
from diffusionret_mm.search.ranks import Ranks, serve
from diffusionret_mm.search.schema import Facts, Span, VideoFile, layout_of
from diffusionret_mm.search.snapshot import Candidates, FoundSpan, Snapshot
from diffusionret_mm.search.steps import match_sentences, search_like, search_texts
from diffusionret_mm.search.subtitle_writing import SubtitleWriter
from diffusionret_mm.search.writing import GalleryWriter

__all__ = [
    'Candidates',
    'Facts',
    'FoundSpan',
    'Gallery',
    'GalleryError',
    'GalleryWriter',
    'Hit',
    'Libraries',
    'Ranks',
    'SearchResult',
    'Searchers',
    'SentenceHit',
    'Snapshot',
    'Span',
    'SubtitleWriter',
    'VideoFile',
    'check_confidence',
    'check_probability',
    'facts_of',
    'hide_unsure',
    'layout_of',
    'maintain',
    'match_sentences',
    'search_like',
    'search_texts',
    'serve',
    'spans_of',
]
