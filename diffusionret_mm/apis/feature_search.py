"""Searches without a backbone: galleries of imported features, queries that are features too."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.apis.weights import load_weights
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.features import FeatureDataset
from diffusionret_mm.features.fingerprint import gallery_fingerprint
from diffusionret_mm.features.store import MANIFEST
from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryWriter,
    Hit,
    Libraries,
    SearchResult,
    Span,
    VideoFile,
    layout_of,
    maintain,
    search_texts,
)
from diffusionret_mm.search.pooling import span_arrays
from diffusionret_mm.storage.fingerprint import version_of_file
from diffusionret_mm.structures import TextFeatures

PathLike = str | os.PathLike[str]
LIBRARY = 'features'  # the folder of features; the ids of videos are its paths
CHUNK = 256  # videos that are added at a time


class FeatureSearcher:
    """A retriever with `backbone=None` at work.

    Args:
        config: config file, or a loaded config.
        checkpoint: checkpoint file; None: the similarity has no weights.
        device: device of the model; None: a GPU if there is one.

    Raises:
        FileNotFoundError: if the config, the checkpoint or the features of the config do not exist.
        CheckpointError: if the checkpoint does not fit, or a part of the model would be random.
        ValueError: if the model of the config has a backbone.
    """

    def __init__(
        self,
        config: PathLike | Config,
        checkpoint: PathLike | None = None,
        device: str | None = None,
    ) -> None:
        self.cfg = copy.deepcopy(config) if isinstance(config, Config) else read_config_file(config)
        if self.cfg.model.backbone is not None:
            raise ValueError(
                f'{self.cfg.filename or "The config"} has a backbone; index videos with it by '
                'TextVideoInferencer.'
            )
        init_default_scope(self.cfg.get('default_scope', 'mmaction'))
        follow_backbone(self.cfg)
        model = MODELS.build(self.cfg.model)
        load_weights(model, checkpoint)
        self.checkpoint = '' if checkpoint is None else os.path.abspath(checkpoint)
        self.fingerprint = gallery_fingerprint(model, self.cfg.model, [])
        self.model = model.to(device or get_device()).eval()

    def index(self, features: PathLike, folder: PathLike) -> Gallery:
        """Make a gallery of imported videos, or add them to one; each is found as a whole.

        Args:
            features: folder that `tools/import_features.py` wrote.
            folder: folder or address (`s3://BUCKET/PATH`) of the gallery.

        Raises:
            FileNotFoundError, AnnotationError: if the features are not there, or damaged.
            GalleryError: if the gallery is something else, or of another model.
        """
        dataset = FeatureDataset(os.fspath(features))
        version = version_of_file(Path(features, MANIFEST))
        ids = [dataset.get_data_info(row)['video_id'] for row in range(len(dataset))]
        files = [VideoFile(LIBRARY, key, *version) for key in ids]
        parts = np.split(np.arange(len(ids)), range(CHUNK, len(ids), CHUNK))
        layout = layout_of(self._arrays(dataset, parts[0][:1]))
        facts = Facts(self.fingerprint, layout, self.cfg.pretty_text, self.checkpoint)
        roots = Libraries({LIBRARY: os.path.abspath(features)})
        gallery = Gallery.create(os.fspath(folder), facts, roots)
        with GalleryWriter(gallery) as writer:
            for rows in parts:
                spans = [Span(files[row], 0.0, 0.0) for row in rows]
                writer.add(spans, self._arrays(dataset, rows))
        maintain(gallery)
        return gallery

    def search(
        self,
        queries: Sequence[str],
        texts: TextFeatures,
        gallery: Gallery,
        top_k: int = 10,
        where: str | None = None,
    ) -> list[SearchResult[Hit]]:
        """Find the videos that fit each of several texts.

        Args:
            queries: what the N texts are called.
            texts: their features, such as `FeatureStore.texts` reads them.
            gallery: a gallery that this model made.
            top_k: number of results.
            where: see `TextVideoInferencer.search`.

        Raises:
            GalleryError: if another model made the gallery.
            ValueError: if the condition is none.
        """
        gallery.check_model(self.fingerprint)
        texts = texts.to(self.model.similarity.placement)
        return search_texts(self.model, queries, texts, gallery, top_k, where)

    @torch.no_grad()
    def _arrays(self, dataset: FeatureDataset, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The arrays of a gallery for some videos."""
        videos = dataset.store.videos(rows).to(self.model.similarity.placement)
        return span_arrays(self.model, self.model.add_context(videos.frames, videos.mask))
