"""Encode texts and videos, index folders of videos, and search them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from diffusionret_mm.apis.encoder import PathLike, TextVideoEncoder
from diffusionret_mm.apis.indexing import IndexOptions, index_videos
from diffusionret_mm.apis.sentences import check_sentences
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.features.fingerprint import passport_facts
from diffusionret_mm.search import (
    Facts,
    Gallery,
    Hit,
    SearchResult,
    SentenceHit,
    check_confidence,
    hide_unsure,
    match_sentences,
    search_like,
    search_texts,
)
from diffusionret_mm.search.schema import Layout


class TextVideoInferencer(TextVideoEncoder):
    """A trained retriever at work, in the manner of mmengine's `BaseInferencer`.

    It is not a subclass of that: a retriever has queries of two kinds and a gallery in place of one
    kind of input.

    Arguments and errors as of `TextVideoEncoder`.
    """

    def __call__(
        self, query: str | Path, gallery: Gallery | PathLike, top_k: int = 10
    ) -> SearchResult[Hit]:
        """Search; see `search`."""
        return self.search(query, gallery, top_k)

    def facts(self, layout: Layout, moments: Moments, int8: bool = False) -> Facts:
        """Return what a gallery of this model holds about how it was made.

        Args:
            layout: layout of the arrays of a span.
            moments: how videos are cut into spans.
            int8: whether it keeps frames in 8 bits.
        """
        model = self.cfg.pretty_text, self.checkpoint, passport_facts(self.model)
        return Facts(self.fingerprint, layout, *model, moments=moments, int8=int8)

    def index(
        self,
        source: PathLike | Sequence[PathLike],
        folder: PathLike,
        options: IndexOptions | None = None,
    ) -> Gallery | None:
        """Index videos into a gallery: new ones, and those that changed since they were indexed.

        A run that was killed continues. Files that cannot be read are listed in the log, and by
        `Gallery.unreadable`; they are tried again when they change.

        Args:
            source: a folder of videos, searched with its sub-folders, or a file; or a list of them.
            folder: folder or address (`s3://BUCKET/PATH`) of the gallery; made if there is none.
            options: moments, libraries that have moved, devices, and the share of this process if
                several index the same videos; None: all videos, on the inferencer's device.

        Returns:
            The gallery; None if this process has a share, nothing in it can be read, and no other
            process has made the gallery yet.

        Raises:
            FileNotFoundError: if a folder or a file does not exist.
            ExportError: if moments are wanted of ONNX encoders.
            GalleryError: if the folder holds something else, or a gallery of another model or other
                moments.
            ValueError: if moments are wanted, and the test pipeline does not read frame by frame.
        """
        return index_videos(self, source, os.fspath(folder), options or IndexOptions())

    def open_gallery(self, gallery: Gallery | PathLike) -> Gallery:
        """Open a gallery that this model made.

        Raises:
            GalleryError: if there is none, or another model made it.
        """
        opened = gallery if isinstance(gallery, Gallery) else Gallery(gallery)
        opened.check_model(self.fingerprint)
        return opened

    def search(
        self,
        query: str | Path,
        gallery: Gallery | PathLike,
        top_k: int = 10,
        where: str | None = None,
        minus: str | None = None,
        all_spans: bool = False,
        subtitles: bool = True,
        min_confidence: float | None = None,
    ) -> SearchResult[Hit]:
        """Find the videos of a gallery that fit a sentence, or are like a video.

        Args:
            query: a sentence (`str`), or the path of a video (`pathlib.Path`).
            gallery: the gallery, or its folder.
            top_k: number of results.
            where: a condition in SQL on library, path, start, end, kind, bytes, mtime or metadata,
                such as `path LIKE 'holidays/%'`; what does not meet it is not searched.
            minus: a sentence whose scores are subtracted from those of the query, a sentence too.
            all_spans: show each span alone; else at most three of a video, and those that overlap
                as one.
            subtitles: whether a sentence is matched with the gallery's subtitles, too, if it has
                any.
            min_confidence: confidence below which the result has no hits but those in which the
                sentence is said; None: all hits are shown.

        Returns:
            The best moments. The generators read texts, so videos like a video have no generator
            score.

        Raises:
            ValueError: if the sentence is empty or the name of a video, `top_k` is below 1, the
                condition is none, or the model or the query has no confidence and one is wanted.
            GalleryError: if another model made the gallery.
            FileNotFoundError, VideoReadError: if the video does not exist or cannot be read.
        """
        if isinstance(query, str):
            options = where, minus, all_spans, subtitles, min_confidence
            return self.search_batch([query], gallery, top_k, *options)[0]
        if minus is not None:
            raise ValueError('A sentence is subtracted from a sentence; the query is a video.')
        if min_confidence is not None:
            raise ValueError(
                'Only the results of sentences have a confidence; the query is a video.'
            )
        check_top_k(top_k)
        video, opened = self.encode_video(query), self.open_gallery(gallery)
        return search_like(self.model, str(query), video, opened, top_k, where, all_spans)

    def search_image(
        self,
        image: PathLike,
        gallery: Gallery | PathLike,
        top_k: int = 10,
        where: str | None = None,
        all_spans: bool = False,
    ) -> SearchResult[Hit]:
        """Find the videos of a gallery that are like an image, a video of one frame.

        Args:
            image: path of the image.
            gallery: as of `search`.
            top_k: as of `search`.
            where: as of `search`.
            all_spans: as of `search`.

        Raises:
            ValueError, GalleryError: as `search`.
            FileNotFoundError, VideoReadError: if the image does not exist or cannot be read.
        """
        check_top_k(top_k)
        video, opened = self.encode_image(image), self.open_gallery(gallery)
        return search_like(self.model, os.fspath(image), video, opened, top_k, where, all_spans)

    def search_batch(
        self,
        texts: Sequence[str],
        gallery: Gallery | PathLike,
        top_k: int = 10,
        where: str | None = None,
        minus: str | None = None,
        all_spans: bool = False,
        subtitles: bool = True,
        min_confidence: float | None = None,
    ) -> list[SearchResult[Hit]]:
        """Find the videos that fit each of several sentences; see `search`."""
        check_top_k(top_k)
        check_sentences(texts)
        check_confidence(self.model, min_confidence)
        if min_confidence is not None and minus is not None:
            raise ValueError('A sentence minus another has no confidence; leave one of both out.')
        features, opened = self.encode_text(texts), self.open_gallery(gallery)
        other = None if minus is None else self.encode_text(minus)
        options = where, other, all_spans, subtitles
        results = search_texts(self.model, texts, features, opened, top_k, *options)
        return [hide_unsure(result, min_confidence) for result in results]

    def match(
        self, video: PathLike, sentences: Sequence[str], top_k: int = 10
    ) -> SearchResult[SentenceHit]:
        """Find the sentences that describe a video.

        Args:
            video: path of the video.
            sentences: N sentences.
            top_k: number of results.

        Returns:
            The best sentences: similarity, generator score and final rank.

        Raises:
            ValueError: if there is no sentence, or one is empty, or `top_k` is below 1.
            FileNotFoundError, VideoReadError: if the video does not exist or cannot be read.
        """
        check_top_k(top_k)
        texts, features = self.encode_text(sentences), self.encode_video(video)
        return match_sentences(self.model, str(video), features, sentences, texts, top_k)


def check_top_k(top_k: int) -> None:
    """Refuse a number of results below 1.

    Raises:
        ValueError: if it is.
    """
    if top_k < 1:
        raise ValueError(f'top_k must be at least 1; got {top_k}.')
