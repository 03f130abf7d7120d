"""Answers to the requests of the web page: each request is checked first."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.apis.decoding import decode
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.uploads import check_container
from diffusionret_mm.search import (
    FoundSpan,
    Gallery,
    Hit,
    SearchResult,
    SentenceHit,
    Snapshot,
    match_sentences,
    search_like,
)
from diffusionret_mm.search.candidates import NUM_CANDIDATES
from diffusionret_mm.search.grouping import best_of_each_video
from diffusionret_mm.search.pooling import pool_texts
from diffusionret_mm.search.steps import read_videos, score_candidates, shortlist
from diffusionret_mm.storage.names import is_utf8
from diffusionret_mm.storage.pool import run_in_parallel
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
MAX_SECONDS = 30.0


@dataclass(frozen=True)
class Found:
    """A video on the page.

    Args:
        id: id of its span in the gallery.
        name: its file name.
        similarity: the model's similarity.
        generator: what the generator adds to it, if it is asked.
    """

    id: str
    name: str
    similarity: float
    generator: float | None


class DemoService:
    """Runs the model for one request at a time: they share the processor cores, or the GPU.

    Videos are decoded before that, in processes, so that one that takes long holds up nobody else.

    Args:
        inferencer: the model.
        gallery: where to search.
        sentences: what a video is described by, if a visitor gives no sentences.
        max_seconds: time that the decoding of a video may take.

    Raises:
        GalleryError: if another model made the gallery.
    """

    def __init__(
        self,
        inferencer: TextVideoInferencer,
        gallery: Gallery,
        sentences: Sequence[str] = (),
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.inferencer = inferencer
        self.model = inferencer.model
        self.gallery = inferencer.open_gallery(gallery)
        self.sentences = list(sentences)
        self.max_seconds = max_seconds
        self._lock = threading.Lock()

    def find(self, sentence: str) -> list[Found]:
        """Find the videos that fit a sentence."""
        check_sentence(sentence)
        with self._lock:
            return self._found(self.inferencer.search(sentence, self.gallery, TOP_K))

    def like(self, span: str) -> list[Found]:
        """Find videos like one of the gallery, itself left out."""
        path, video = self._video(span)
        with self._lock:
            result = search_like(self.model, path, video, self.gallery, TOP_K + 1)
        return [found for found in self._found(result) if found.id != span][:TOP_K]

    def like_upload(self, file: str) -> list[Found]:
        """Find videos like an uploaded one."""
        self._run(check_container, file)
        item = self._decode(file)
        with self._lock:
            video = self.inferencer.encode_items([item])
            return self._found(search_like(self.model, '', video, self.gallery, TOP_K))

    def describe(self, span: str, sentences: str) -> SearchResult[SentenceHit]:
        """Find the sentences that describe a video of the gallery.

        Args:
            span: id of its span.
            sentences: one per line; if there is none, the page's own.
        """
        path, video = self._video(span)
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
            return match_sentences(self.model, path, video, lines, texts, TOP_K)

    def attention(self, sentence: str, span: str) -> Figure:
        """Draw a video as a sentence sees it."""
        check_sentence(sentence)
        path, video = self._video(span)
        real = video.mask[0].cpu().numpy()
        frames = self._decode(path)['frames'].permute(0, 2, 3, 1).numpy()[real]
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

    def file_of(self, span: str) -> str:
        """Return the file of a span of the gallery.

        Raises:
            RequestError: if there is no such span, or its file is gone.
        """
        return self._find(span)[1].path

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

    def _found(self, result: SearchResult[Hit]) -> list[Found]:
        return [
            Found(hit.span.id, os.path.basename(hit.video), hit.similarity, hit.generator)
            for hit in result.hits
        ]

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

    def _video(self, span: str) -> tuple[str, VideoFeatures]:
        snapshot, found, row = self._find(span)
        video, _ = read_videos(snapshot, row)
        return found.path, video.to(self.model.similarity.placement)

    def _decode(self, file: str) -> dict[str, torch.Tensor]:
        """Decode in a process of its own, without the lock.

        A file may crash its decoder, or take it for ever.
        """
        item = self._run(partial(decode, pickle.dumps(self.inferencer.transforms)), file)
        return {key: torch.from_numpy(value) for key, value in item.items()}

    def _run(self, function: Callable[[str], Any], file: str) -> Any:
        """Call a function for a file, however large, for a limited time."""
        options = dict(workers=1, title=None, failures=VideoReadError, timeout=self.max_seconds)
        ((_, result, error),) = run_in_parallel(function, [file], **options)
        if error:  # it may contain paths of this machine
            raise RequestError(
                f'This file cannot be read as a video, or not in {self.max_seconds:g} seconds.'
            ) from VideoReadError(error)
        return result


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
