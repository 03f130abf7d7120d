"""Validation and test: encode once, score in blocks, re-rank, measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import LOOPS
from mmengine.runner import TestLoop, ValLoop, autocast

from diffusionret_mm.engine.memory import describe_peak_memory
from diffusionret_mm.evaluation import format_metrics
from diffusionret_mm.features.encoding import EncodedSplit, FeatureCollector, ScoredSplit
from diffusionret_mm.features.encoding_on_disk import DiskCollector
from diffusionret_mm.features.query_bank import QueryBank
from diffusionret_mm.features.scoring import similarity_of_all
from diffusionret_mm.features.second_stage import SecondStage
from diffusionret_mm.models.retrievers import TextVideoRetriever

FEATURE_DTYPES = ('float32', 'float16')


class _RetrievalRun:
    """What both loops do; mixed into mmengine's, which differ in the names of their hooks.

    Between similarity and re-ranking hooks that have a method `before_reranking` are called with
    `mode` ('val' or 'test'), `split` and its `second_stage`.
    Hooks find what an evaluation computed in `scored`, from `after_val_epoch` or `after_test_epoch`
    to `after_val` or `after_test`.
    """

    mode: str
    runner: Any
    dataloader: Any
    evaluator: Any
    fp16: bool
    scored: ScoredSplit | None = None

    def __init__(
        self,
        *args: Any,
        chunk_size: int = 64,
        feature_dtype: str = 'float32',
        feature_dir: str | None = None,
        query_bank: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if feature_dtype not in FEATURE_DTYPES:
            raise ValueError(
                f'feature_dtype must be one of {FEATURE_DTYPES}; got {feature_dtype!r}.'
            )
        super().__init__(*args, **kwargs)
        self.chunk_size = chunk_size
        self.feature_dtype = getattr(torch, feature_dtype)
        self.feature_dir = feature_dir
        self.query_bank = None if query_bank is None else QueryBank(**query_bank)

    @torch.no_grad()
    def run(self) -> dict[str, float]:
        """Evaluate the split.

        Returns:
            The flat metrics; the same on every process.
        """
        runner = self.runner
        runner.call_hook(f'before_{self.mode}')
        runner.call_hook(f'before_{self.mode}_epoch')
        model = TextVideoRetriever.of(runner.model)
        model.eval()
        metrics, self.scored = self.measure(model)
        plain, split = dict(metrics), self.scored.split
        runner.call_hook(f'after_{self.mode}_epoch', metrics=metrics)  # which may add some
        runner.call_hook(f'after_{self.mode}')
        self.scored = None  # features of a large split must not outlive its evaluation
        place = 'on disk' if self.feature_dir else 'of memory'
        runner.logger.info(
            f'{len(split.captions):,} texts, {len(split.video_ids):,} videos; their features take '
            f'{split.num_bytes / 1e6:,.0f} MB {place}, the process took {describe_peak_memory()} '
            f'at most.\n{format_metrics(plain)}'
        )
        return metrics

    def measure(self, model: torch.nn.Module) -> tuple[dict[str, float], ScoredSplit]:
        """Encode the split, score it and measure the ranks.

        Args:
            model: the retriever, in evaluation mode.

        Returns:
            The flat metrics, and the features and scores, the same on every process.
        """
        split = self.encode(model)
        with autocast(enabled=False):  # scores and ranks are computed in float32
            scored, second_stage = self._score(model, split)
            sample = self._sample(scored, second_stage)
        if self.query_bank is not None:
            store = self.query_bank.open(self.runner, model, self.mode, self.fp16)
            with autocast(enabled=False):
                sample['banks'] = self.query_bank.score(model, store, split, self.chunk_size)
        self.evaluator.process(data_samples=[sample], data_batch=None)
        return self.evaluator.evaluate(size=1), scored

    def _sample(self, scored: ScoredSplit, second_stage: SecondStage) -> dict[str, Any]:
        """Make the data sample of the metrics."""
        split, dataset = scored.split, self.dataloader.dataset
        before = scored.before('t2v'), scored.before('v2t')
        return dict(
            rankings={
                'discrimination': before,
                **second_stage.rankings(),
                '': (scored.t2v, scored.v2t),
            },
            video_of_text=split.video_of_text.to(scored.t2v.device),
            video_ids=split.video_ids,
            captions=split.captions,
            answers=split.answers,
            groups=[dataset.group_of(row) for row in range(len(split.video_ids))],
            distributions=second_stage.distributions(),
            matches=second_stage.matches(),
        )

    def _score(
        self, model: TextVideoRetriever, split: EncodedSplit
    ) -> tuple[ScoredSplit, SecondStage]:
        """Score a split by the model, or by what was imported, and re-rank it."""
        if model.similarity.is_imported:
            before = [
                scores.to(model.similarity.placement)
                for scores in self.dataloader.dataset.imported_scores()
            ]
        else:
            scores = similarity_of_all(model, split.texts, split.videos, self.chunk_size)
            before = [scores, scores.t()]
        second_stage = SecondStage(model, split, *before)
        self.runner.call_hook(
            'before_reranking', mode=self.mode, split=split, second_stage=second_stage
        )
        imported = before[1] if model.similarity.is_imported else None
        final = second_stage.rerank()
        return ScoredSplit(split, before[0], *final, similarity_v2t=imported), second_stage

    def encode(self, model: torch.nn.Module) -> EncodedSplit:
        """Encode the split.

        Args:
            model: the retriever, in evaluation mode.

        Returns:
            All features; the same on every process.
        """
        collector = self._collector()
        for batch_idx, data_batch in enumerate(self.dataloader):
            self.runner.call_hook(
                f'before_{self.mode}_iter', batch_idx=batch_idx, data_batch=data_batch
            )
            with autocast(enabled=self.fp16):
                batch = model.data_preprocessor(data_batch, False)
                texts, videos = model(**batch, mode='tensor')
            collector.add(texts, videos, batch['data_samples'])
            self.runner.call_hook(
                f'after_{self.mode}_iter',
                batch_idx=batch_idx,
                data_batch=data_batch,
                outputs=(texts, videos),
            )
        return collector.join()

    def _collector(self) -> FeatureCollector:
        if self.feature_dir is None:
            return FeatureCollector(self.feature_dtype)
        return DiskCollector(Path(self.feature_dir) / self.mode, self.feature_dtype)


@LOOPS.register_module()
class TextVideoValLoop(_RetrievalRun, ValLoop):
    """Validation of a retriever.

    Args:
        *args: runner, dataloader and evaluator, as mmengine passes them.
        chunk_size: texts and videos per block of the similarity; a bound on memory.
        feature_dtype: how features are kept: 'float32', or 'float16' for half the memory.
        feature_dir: folder for them, seen by all processes; None keeps them in memory.
        query_bank: arguments of a `QueryBank`, which the post-processing 'QB-Norm' and 'IS' need;
            None makes no bank.
        **kwargs: arguments of `mmengine.runner.ValLoop`.

    Raises:
        ValueError: if there is no such `feature_dtype`.
    """

    mode = 'val'


@LOOPS.register_module()
class TextVideoTestLoop(_RetrievalRun, TestLoop):
    """Test of a retriever.

    Args:
        *args: runner, dataloader and evaluator, as mmengine passes them.
        chunk_size: texts and videos per block of the similarity; a bound on memory.
        feature_dtype: how features are kept: 'float32', or 'float16' for half the memory.
        feature_dir: folder for them, seen by all processes; None keeps them in memory.
        query_bank: arguments of a `QueryBank`, which the post-processing 'QB-Norm' and 'IS' need;
            None makes no bank.
        **kwargs: arguments of `mmengine.runner.TestLoop`.

    Raises:
        ValueError: if there is no such `feature_dtype`.
    """

    mode = 'test'
