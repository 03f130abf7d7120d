"""A model that encodes sentences, videos and images as its config has them."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.backbone import (
    follow_backbone,
    name_files_absolutely,
    refuse_without_backbone,
)
from diffusionret_mm.apis.decoding import (
    decode_in_parallel,
    list_reasons,
    max_words_of,
    video_transforms,
)
from diffusionret_mm.apis.images import image_as_video
from diffusionret_mm.apis.sentences import check_texts
from diffusionret_mm.apis.weights import load_weights
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_probe import probe_video
from diffusionret_mm.datasets.video_reading import time_limit
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.export import ExportError, OnnxEncoders
from diffusionret_mm.features.fingerprint import gallery_fingerprint
from diffusionret_mm.storage.names import why_not_a_file
from diffusionret_mm.storage.pool import run_in_parallel
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from typing_extensions import Self

PathLike = str | os.PathLike[str]


class TextVideoEncoder:
    """The encoders of a retriever with what a config says of texts and videos.

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
        name_files_absolutely(self.cfg)
        refuse_without_backbone(self.cfg)
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
        check_texts(texts)
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
        given = [videos] if isinstance(videos, str | os.PathLike) else videos
        single, paths = given is not videos, [os.path.abspath(path) for path in given]
        refuse_no_files(paths)
        found = sorted(set(paths))
        show = self.show_progress and not single
        features: dict[str, VideoFeatures] = {}
        items: dict[str, dict[str, Any]] = {}
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

    def encode_image(self, image: PathLike) -> VideoFeatures:
        """Encode an image as a video of one frame.

        Args:
            image: path of the image.

        Returns:
            Its features, one row on the device of the model.

        Raises:
            FileNotFoundError: if the file does not exist.
            VideoReadError: if it cannot be read.
        """
        with image_as_video(image) as video:
            return self.encode_video(video)

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

    def on(self, device: torch.device) -> Self:
        """Return this inferencer for another device, with a copy of the model there."""
        if device == self.device:
            return self
        other = copy.copy(self)
        other.device, other.model = device, copy.deepcopy(self.model).to(device)
        if self.encoders is self.model:
            other.encoders = other.model
        return other

    def _open_onnx(self, folder: PathLike) -> OnnxEncoders:
        encoders = OnnxEncoders(folder)
        if encoders.facts.weights != self.fingerprint['weights']:
            raise ExportError(
                f'The ONNX encoders in {os.fspath(folder)} were made of another checkpoint; export '
                'this one with tools/export_onnx.py.'
            )
        return encoders


def refuse_no_files(paths: Sequence[str]) -> None:
    """Refuse paths that are no files.

    Raises:
        FileNotFoundError: if there are some; it names them, with reasons.
    """
    missing = {path: reason for path in paths if (reason := _why_no_file(path))}
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(paths)} videos cannot be read:{list_reasons(missing)}'
        )


def check_video(path: PathLike) -> None:
    """Refuse a video that cannot be read; it is looked at in a process of its own.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: if it does not exist.
        VideoReadError: if it cannot be read.
    """
    path = os.path.abspath(path)
    refuse_no_files([path])
    options: dict[str, Any] = dict(
        workers=1, title=None, failures=VideoReadError, timeout=time_limit
    )
    ((_, _, error),) = run_in_parallel(probe_video, [path], **options)
    if error:
        raise VideoReadError(f'{path} cannot be read: {error}')


def _why_no_file(path: str) -> str:
    return why_not_a_file(path) or ('it is a folder' if os.path.isdir(path) else '')
