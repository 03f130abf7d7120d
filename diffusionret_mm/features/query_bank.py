"""Banks of queries for the post-processing of scores, made of the training split."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.runner import Runner, autocast
from torch import Tensor

from diffusionret_mm.features import (
    FeatureStore,
    FeatureWriter,
    WholeVideos,
    encode_videos,
    fingerprint,
    open_or_build,
)
from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.fingerprint import EXTRACTOR
from diffusionret_mm.features.scoring import over_ranks, similarity_matrix
from diffusionret_mm.models.retrievers import TextVideoRetriever

CAPTIONS = ('all', 'first')
# Queries of a bank whose features are read at a time, a multiple of the blocks of EMCL.
SLICE = 1024


class QueryBank:
    """Texts and videos of a split other than the one that is evaluated.

    Their features are encoded once, with the transforms of the evaluation, and kept on disk with a
    fingerprint of weights, videos, captions and transforms: a bank of others is made anew.

    Args:
        loader: data loader of the config whose data set is the bank: 'train_dataloader', or
            'val_dataloader' (which DiCoSA takes for LSMDC).
        captions: 'all' captions of a video, or the 'first' (DiCoSA, MSR-VTT).
        directory: folder of the features; None takes `query_bank` in the work dir.

    Raises:
        ValueError: if `captions` is neither.
    """

    def __init__(
        self,
        loader: str = 'train_dataloader',
        captions: str = 'all',
        directory: str | None = None,
    ) -> None:
        if captions not in CAPTIONS:
            raise ValueError(f'captions must be one of {CAPTIONS}; got {captions!r}.')
        self.loader = loader
        self.captions = captions
        self.directory = directory

    def open(
        self, runner: Runner, model: TextVideoRetriever, mode: str, half_precision: bool
    ) -> FeatureStore:
        """Open the bank's features; encode them if they are not there.

        Args:
            runner: of the evaluation.
            model: the retriever, in evaluation mode.
            mode: 'val' or 'test', whose transforms and batches the bank takes.
            half_precision: whether the evaluation encodes in mixed precision.

        Raises:
            ValueError: if the config has no such loader.
        """
        source, own = runner.cfg.get(self.loader), runner.cfg[f'{mode}_dataloader']
        if not source:
            raise ValueError(
                f'The query bank is to be made of {self.loader}, which the config does not have; '
                'give query_bank another loader.'
            )
        pipeline = own.dataset.pipeline
        dataset = DATASETS.build(dict(source.dataset, pipeline=pipeline))
        videos = WholeVideos(dataset)
        settings = dict(
            transforms=pipeline,
            extractor={key: runner.cfg.model.get(key) for key in EXTRACTOR},
            precision=half_precision,
        )
        root = Path(self.directory or Path(runner.work_dir) / 'query_bank').resolve()
        fill = partial(self._fill, model=model, videos=videos, loader=own, half=half_precision,
                       log=runner.logger.info)  # fmt: skip
        made_of = fingerprint(model, videos.entries, settings)
        return open_or_build(root, made_of, fill, runner.logger.info)

    def score(
        self, model: TextVideoRetriever, store: FeatureStore, split: EncodedSplit, chunk_size: int
    ) -> tuple[Tensor, Tensor]:
        """Score the bank against the galleries of a split, by the similarity alone.

        Args:
            model: the retriever, in evaluation mode.
            store: features of the bank, B texts (of the captions chosen) and C videos.
            split: the N texts and M videos that are evaluated.
            chunk_size: texts and videos per block of the similarity.

        Returns:
            On every process: texts of the bank against videos, [B, M], and its videos against
            texts, [C, N].
        """
        texts = np.arange(store.num_texts) if self.captions == 'all' else store.first_text
        videos = np.arange(store.num_videos)
        t2v = over_ranks(
            len(texts),
            lambda rows: torch.cat(
                [
                    similarity_matrix(model, store.texts(part), split.videos, chunk_size)
                    for part in _slices(texts[rows])
                ]
            ),
            block=SLICE,
        )
        v2t = over_ranks(
            len(videos),
            lambda rows: torch.cat(
                [
                    similarity_matrix(model, split.texts, store.videos(part), chunk_size).t()
                    for part in _slices(videos[rows])
                ]
            ),
            block=SLICE,
        )
        return t2v, v2t

    @staticmethod
    def _fill(
        writer: FeatureWriter,
        model: TextVideoRetriever,
        videos: WholeVideos,
        loader: Any,
        half: bool,
        log: Any,
    ) -> None:
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        # A validation must leave the random states of training as they were.
        with torch.random.fork_rng(devices), torch.no_grad(), autocast(enabled=half):
            encode_videos(writer, model, videos, loader.batch_size, loader.num_workers, log)


def _slices(rows: np.ndarray) -> list[np.ndarray]:
    # One part at least: a process may have no row, but the matrix of none has columns.
    return np.split(rows, range(SLICE, len(rows), SLICE))
