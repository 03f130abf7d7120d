"""Encode texts and videos, index folders of videos, and search them."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.apis.decoding import (
    decode_in_parallel,
    list_reasons,
    max_words_of,
    video_transforms,
)
from diffusionret_mm.apis.indexing import IndexOptions, index_videos
from diffusionret_mm.apis.weights import load_weights
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.datasets.transforms.captions import refuse_empty
from diffusionret_mm.datasets.video_files import ALL_SUFFIXES
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.export import ExportError, OnnxEncoders
from diffusionret_mm.features.fingerprint import gallery_fingerprint, passport_facts
from diffusionret_mm.search import (
    Facts,
    Gallery,
    Hit,
    SearchResult,
    SentenceHit,
    match_sentences,
    search_like,
    search_texts,
)
from diffusionret_mm.search.schema import Layout
from diffusionret_mm.storage.names import is_utf8, printable, why_not_a_file
from diffusionret_mm.structures import TextFeatures, VideoFeatures

PathLike = str | os.PathLike[str]


class TextVideoInferencer:
    """A trained retriever at work, in the manner of mmengine's `BaseInferencer`.

    It is not a subclass of that: a retriever has queries of two kinds and a gallery in place of one
    kind of input.

    Args:
        config: config file or `Config`; its test pipeline says how videos are decoded.
        checkpoint: checkpoint file of the model; None: the pre-trained weights of the config, where
            they are all that the model needs.
        device: device of the model; None takes a GPU if there is one.
        batch_size: texts or videos that are encoded at a time.
        num_workers: processes that decode; None: one per CPU core.
        show_progress: whether to show bars.
        cfg_options: settings of the config that are replaced.
        onnx: folder of `tools/export_onnx.py`, whose encoders are run in place of torch's; they
            were made of the same checkpoint.
        time_limit: seconds that decoding a video may take, and more for large files; None: 60.

    Raises:
        FileNotFoundError: if the config or the checkpoint does not exist.
        CheckpointError: if the checkpoint does not fit the model, or parts of it would be random
            without one.
        ExportError: if the ONNX encoders are incomplete, or those of another checkpoint.
        ValueError: if the config cannot be read, has no test pipeline, or it draws at random.
    """

    def __init__(
        self,
        config: PathLike | Config,
        checkpoint: PathLike | None = None,
        device: str | None = None,
        batch_size: int = 32,
        num_workers: int | None = None,
        show_progress: bool = True,
        cfg_options: Mapping[str, Any] | None = None,
        onnx: PathLike | None = None,
        time_limit: float | None = None,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1; got {batch_size}.')
        if isinstance(config, Config):
            self.cfg = copy.deepcopy(config)
            self.cfg.merge_from_dict(dict(cfg_options or {}))
        else:
            self.cfg = read_config_file(config, cfg_options)
        init_default_scope(self.cfg.get('default_scope', 'mmaction'))
        follow_backbone(self.cfg)
        self.transforms = video_transforms(self.cfg)
        self.max_words = max_words_of(self.transforms)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.show_progress = show_progress
        self.time_limit = time_limit
        self.device = torch.device(device or get_device())
        model = MODELS.build(self.cfg.model)
        load_weights(model, checkpoint)
        self.checkpoint = '' if checkpoint is None else os.path.abspath(checkpoint)
        self.fingerprint = gallery_fingerprint(model, self.cfg.model, self.transforms)
        self.model = model.to(self.device).eval()
        self.encoders = self.model if onnx is None else self._open_onnx(onnx)

    def __call__(
        self, query: str | Path, gallery: Gallery | PathLike, top_k: int = 10
    ) -> SearchResult[Hit]:
        """Search; see `search`."""
        return self.search(query, gallery, top_k)

    @torch.no_grad()
    def encode_text(self, texts: str | Sequence[str]) -> TextFeatures:
        """Encode sentences.

        Args:
            texts: a sentence or N of them. Long ones are cut to the tokens of the config.

        Returns:
            Their features on the device of the model.

        Raises:
            ValueError: if there is none, or one is empty or not UTF-8.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        for text in texts:
            if not is_utf8(text):
                raise ValueError(
                    f'"{printable(text)}" is no text: some of its bytes are not UTF-8.'
                )
        refuse_empty(texts)
        ids, mask = self.model.backbone.tokenizer.tokenize(texts, self.max_words)
        parts = zip(ids.split(self.batch_size), mask.split(self.batch_size), strict=True)
        return TextFeatures.cat(
            [self.encoders.encode_text(*(part.to(self.device) for part in pair)) for pair in parts]
        )

    def encode_video(self, videos: PathLike | Sequence[PathLike]) -> VideoFeatures:
        """Encode video files.

        Args:
            videos: a path or M of them.

        Returns:
            Their features, in their order, on the device of the model.

        Raises:
            FileNotFoundError: if a file does not exist.
            VideoReadError: if one cannot be read.
        """
        single = isinstance(videos, str | os.PathLike)
        paths = [os.path.abspath(path) for path in ([videos] if single else videos)]
        missing = {path: reason for path in paths if (reason := _why_unreadable(path))}
        if missing:
            raise FileNotFoundError(
                f'{len(missing)} of {len(paths)} videos cannot be read:{list_reasons(missing)}'
            )
        found = sorted(set(paths))
        show, features, items = self.show_progress and not single, {}, {}
        limit = partial(time_limit, seconds=self.time_limit)
        results = decode_in_parallel(self.transforms, found, self.num_workers, show, limit)
        for path, item, error in results:
            if item is None:
                raise VideoReadError(f'{path} cannot be read: {error}')
            items[path] = item
            if len(items) == self.batch_size or len(features) + len(items) == len(found):
                encoded = self.encode_items(list(items.values()))
                features |= {path: encoded[row : row + 1] for row, path in enumerate(items)}
                items = {}
        return VideoFeatures.cat([features[path] for path in paths])

    @torch.no_grad()
    def encode_items(self, items: Sequence[dict[str, torch.Tensor]]) -> VideoFeatures:
        """Encode decoded videos.

        Args:
            items: M items with frames [F, 3, H, W] uint8 and frame_mask [F] bool.

        Returns:
            Their features on the device of the model.
        """
        frames = torch.stack([item['frames'] for item in items]).to(self.device)
        mask = torch.stack([item['frame_mask'] for item in items]).to(self.device)
        normalised = self.model.data_preprocessor.normalise(frames, mask)
        return self.encoders.encode_video(normalised, mask)

    def on(self, device: torch.device) -> TextVideoInferencer:
        """Return this inferencer for another device, with a copy of the model there."""
        if device == self.device:
            return self
        other = copy.copy(self)
        other.device, other.model = device, copy.deepcopy(self.model).to(device)
        if self.encoders is self.model:
            other.encoders = other.model
        return other

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
        all_spans: bool = False,
    ) -> SearchResult[Hit]:
        """Find the videos of a gallery that fit a sentence, or are like a video.

        Args:
            query: a sentence (`str`), or the path of a video (`pathlib.Path`).
            gallery: the gallery, or its folder.
            top_k: number of results.
            where: a condition in SQL on library, path, start, end, kind, bytes, mtime or metadata,
                such as `path LIKE 'holidays/%'`; what does not meet it is not searched.
            all_spans: show each span alone; else at most three of a video, and those that overlap
                or touch as one.

        Returns:
            The best moments. The generators read texts, so videos like a video have no generator
            score.

        Raises:
            ValueError: if the sentence is empty or the name of a video, `top_k` is below 1, or the
                condition is none.
            GalleryError: if another model made the gallery.
            FileNotFoundError, VideoReadError: if the video does not exist or cannot be read.
        """
        if isinstance(query, str):
            return self.search_batch([query], gallery, top_k, where, all_spans)[0]
        _check_top_k(top_k)
        video, opened = self.encode_video(query), self.open_gallery(gallery)
        return search_like(self.model, str(query), video, opened, top_k, where, all_spans)

    def search_batch(
        self,
        texts: Sequence[str],
        gallery: Gallery | PathLike,
        top_k: int = 10,
        where: str | None = None,
        all_spans: bool = False,
    ) -> list[SearchResult[Hit]]:
        """Find the videos that fit each of several sentences; see `search`."""
        _check_top_k(top_k)
        for text in texts:
            if Path(text).suffix.lower() in ALL_SUFFIXES - {'.'} and ' ' not in text.strip():
                raise ValueError(
                    f'{text!r} looks like a file; a sentence is wanted. Give pathlib.Path({text!r})'
                    ' to search by the video.'
                )
        features, opened = self.encode_text(texts), self.open_gallery(gallery)
        return search_texts(self.model, texts, features, opened, top_k, where, all_spans)

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
        _check_top_k(top_k)
        texts, features = self.encode_text(sentences), self.encode_video(video)
        return match_sentences(self.model, str(video), features, sentences, texts, top_k)

    def _open_onnx(self, folder: PathLike) -> OnnxEncoders:
        encoders = OnnxEncoders(folder)
        if encoders.facts.weights != self.fingerprint['weights']:
            raise ExportError(
                f'The ONNX encoders in {os.fspath(folder)} were made of another checkpoint; export '
                'this one with tools/export_onnx.py.'
            )
        return encoders


def _why_unreadable(path: str) -> str:
    return why_not_a_file(path) or ('it is a folder' if os.path.isdir(path) else '')


def _check_top_k(top_k: int) -> None:
    if top_k < 1:
        raise ValueError(f'top_k must be at least 1; got {top_k}.')
