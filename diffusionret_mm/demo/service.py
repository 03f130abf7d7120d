"""Answers to the requests of the web page: each request is checked first."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.found import Found, FoundVideo, by_video
from diffusionret_mm.demo.reading import FileReader, Item
from diffusionret_mm.search import (
    FoundSpan,
    Gallery,
    SearchResult,
    SentenceHit,
    Snapshot,
    check_confidence,
    match_sentences,
    search_like,
)
from diffusionret_mm.search.candidates import NUM_CANDIDATES
from diffusionret_mm.search.grouping import best_of_each_video
from diffusionret_mm.search.pooling import pool_texts
from diffusionret_mm.search.steps import read_videos, score_candidates, shortlist
from diffusionret_mm.storage.names import is_utf8
from diffusionret_mm.structures import TextFeatures, VideoFeatures
from diffusionret_mm.visualization import (
    DiffusionProcess,
    PictureError,
    draw_attention,
    draw_diffusion,
    frame_attention,
    match_words,
    trace_diffusion,
)

MAX_CHARACTERS = 500
MAX_SENTENCES = 1000
TOP_K = 8
# What is searched for time lines: all spans that the second step scores.
ALL_SPANS: dict[str, Any] = dict(top_k=NUM_CANDIDATES, all_spans=True)


class DemoService:
    """Runs the model for one request at a time: they share the processor cores, or the GPU.

    Videos are decoded before that, in processes, so that one that takes long holds up nobody else.

    Args:
        inferencer: the model.
        gallery: where to search.
        sentences: what a video is described by, if a visitor gives no sentences.

    Raises:
        GalleryError: if another model made the gallery.
    """

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        gallery: Gallery,
        sentences: Sequence[str] = (),
    ) -> None:
        self.inferencer = inferencer
        self.model = inferencer.model
        self.gallery = inferencer.open_gallery(gallery)
        self.sentences = list(sentences)
        self.reader = FileReader(inferencer.transforms, self.gallery.facts.moments)
        self._lock = threading.Lock()

    @property
    def has_confidence(self) -> bool:
        """Whether the model says how sure its results are."""
        return self.model.no_confidence is None

    def find(self, sentence: str, min_confidence: float | None = None) -> Found:
        """Find the videos that fit a sentence.

        Args:
            sentence: the sentence.
            min_confidence: confidence below which there is no match; None: all is shown.
        """
        check_sentence(sentence)
        try:
            check_confidence(self.model, min_confidence)
        except ValueError as error:
            raise RequestError(str(error)) from error
        options = dict(ALL_SPANS, min_confidence=min_confidence)
        with self._lock:
            result = self.inferencer.search(sentence, self.gallery, **options)
        return Found(by_video(result.hits, TOP_K), result.confidence, result.no_match)

    def like(self, span: str) -> list[FoundVideo]:
        """Find moments like one of the gallery; itself and what overlaps it is left out."""
        found, video = self._video(span)
        with self._lock:
            hits = search_like(self.model, found.path, video, self.gallery, **ALL_SPANS).hits
        others = [hit for hit in hits if not _overlap(hit.span, found)]
        return by_video(others, TOP_K)

    def like_video(self, file: str) -> list[FoundVideo]:
        """Find videos like an uploaded one."""
        return self._like_item(self.reader.uploaded_video(file))

    def like_image(self, file: str) -> list[FoundVideo]:
        """Find videos like an uploaded image."""
        return self._like_item(self.reader.uploaded_image(file))

    def describe(self, span: str, sentences: str) -> SearchResult[SentenceHit]:
        """Find the sentences that describe a video of the gallery.

        Args:
            span: id of its span.
            sentences: one per line; if there is none, the page's own.
        """
        found, video = self._video(span)
        lines = [line.strip() for line in sentences.splitlines() if line.strip()]
        lines = lines or self.sentences
        if not lines:
            raise RequestError('Give some sentences, one per line.')
        if len(lines) > MAX_SENTENCES:
            raise RequestError(f'Give {MAX_SENTENCES:,} sentences at most, not {len(lines):,}.')
        for line in lines:
            check_sentence(line)
        with self._lock:
            texts = self.inferencer.encode_text(lines)
            return match_sentences(self.model, found.path, video, lines, texts, TOP_K)

    def attention(self, sentence: str, span: str) -> Figure:
        """Draw a video as a sentence sees it."""
        check_sentence(sentence)
        found, video = self._video(span)
        real = video.mask[0].cpu().numpy()
        frames = self.reader.frames(found)
        with self._lock:
            text = self.inferencer.encode_text(sentence)
            attention = frame_attention(self.model, text, video)
            match = match_words(self.model, sentence, text, video)
            if attention is None and match is None:
                raise RequestError('This model weighs neither words nor frames.')
        weights = None if attention is None else attention[0].cpu().numpy()[real]
        return draw_attention(sentence, frames, weights, match)

    def diffusion(self, sentence: str, span: str) -> Figure:
        """Draw the diffusion over the best candidates of a sentence; the chosen one is marked."""
        check_sentence(sentence)
        self._video(span)
        with self._lock:
            text = self.inferencer.encode_text(sentence)
            process = self._trace(sentence, text, span)
        return draw_diffusion([process])

    def span_of(self, span: str) -> FoundSpan:
        """Return a span of the gallery.

        Raises:
            RequestError: if there is no such span, or its file is gone.
        """
        return self._find(span)[1]

    def _trace(self, sentence: str, text: TextFeatures, span: str) -> DiffusionProcess:
        pooled = pool_texts(self.model, text).cpu().numpy()
        snapshot = self.gallery.latest()
        (found,) = snapshot.candidates(pooled, NUM_CANDIDATES)
        videos, scores = score_candidates(self.model, text, snapshot, found.rows)
        preferred = best_of_each_video(found.videos, scores.tolist())
        places = torch.tensor(preferred, dtype=torch.int64, device=scores.device)
        listed = shortlist(self.model, 't2v', scores, videos, places)
        query = listed.scores, text, listed.candidates, torch.zeros(1, dtype=torch.int64)
        try:
            trace = trace_diffusion(self.model, 't2v', *query)
        except PictureError as error:
            raise RequestError('This model has no diffusion over candidates.') from error
        best = trace.best[0].tolist()
        spans = found.at(listed.places[best].tolist())
        is_chosen = np.array([each.id == span for each in spans])
        if not is_chosen.any():
            raise RequestError('This video is not among the candidates that are re-ranked.')
        place = int(np.flatnonzero(is_chosen)[0])
        final = self.model.rerank_queries('t2v', *query)[0]
        own = final[best[place]]
        return DiffusionProcess(
            query=sentence,
            states=trace.states[:, 0].float().cpu().numpy(),
            times=trace.times,
            is_truth=is_chosen,
            rank_before=place + 1,
            rank_after=int((final > own).sum()) + 1,
        )

    def _like_item(self, item: Item) -> list[FoundVideo]:
        with self._lock:
            video = self.inferencer.encode_items([item])
            result = search_like(self.model, '', video, self.gallery, **ALL_SPANS)
        return by_video(result.hits, TOP_K)

    def _find(self, span: str) -> tuple[Snapshot, FoundSpan, np.ndarray]:
        """Find a span: where it was found, what it is, and its row there, [1]."""
        snapshot = self.gallery.latest()
        found = snapshot.find(span)
        if not found.spans:
            raise RequestError('Choose a video of the gallery.')
        path = found.spans[0].path
        if not os.path.isfile(path):
            raise RequestError(f'The file of {os.path.basename(path)} is gone.')
        return snapshot, found.spans[0], found.rows

    def _video(self, span: str) -> tuple[FoundSpan, VideoFeatures]:
        snapshot, found, row = self._find(span)
        video, _ = read_videos(snapshot, row)
        return found, video.to(self.model.similarity.placement)


def _overlap(one: FoundSpan, other: FoundSpan) -> bool:
    if one.path != other.path:
        return False
    return one.id == other.id or (one.start < other.end and other.start < one.end)


def check_sentence(sentence: str) -> None:
    """Refuse a sentence that is empty or too long.

    Raises:
        RequestError: if it is empty, too long or no text.
    """
    if not sentence.strip():
        raise RequestError('Type a sentence.')
    if not is_utf8(sentence):
        raise RequestError('The sentence holds half a character.')
    if len(sentence) > MAX_CHARACTERS:
        raise RequestError(
            f'A sentence may have {MAX_CHARACTERS:,} characters; this one has {len(sentence):,}.'
        )
