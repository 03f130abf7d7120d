"""Train the generators on features that were encoded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS, TRANSFORMS
from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from diffusionret_mm.features import (
    FeatureStore,
    WholeVideos,
    cache_features,
    cached_loader,
    fingerprint,
    open_or_build,
)
from diffusionret_mm.features.fingerprint import EXTRACTOR
from diffusionret_mm.models.retrievers import TextVideoRetriever


@HOOKS.register_module()
class FeatureCacheHook(Hook):
    """Feeds stage 'generation' of `DiffusionRet` from a cache of features.

    The extractor is frozen in that stage, so one pass over the training set replaces all later
    ones. When the stage begins (or a run is resumed in it), the hook encodes every training video
    and all its captions once, keeps them in memory-mapped files, and gives the training loop
    batches of features: the same items, captions and order as without it, and the same losses to
    rounding. A cache of other weights, videos, captions or transforms is rebuilt, never used.
    Processes of one machine build one cache. Validation goes on as without it.

    Frames: a training pipeline that draws frames at random (`SampleVideoFrames`, rule 'random')
    or augments them (`AugmentFrames`) shows other frames each epoch, which one view cannot. It is
    refused at the start of the run, unless `views` holds several draws, or `pipeline` gives
    transforms that draw nothing, such as the validation's. The generators then train on the
    features that validation sees (published training draws no frames either).

    Args:
        directory: folder of the cache; None takes `feature_cache` in the work dir.
        pipeline: transforms of the cached pass, without random draws, or the name of the data
            loader of the config whose transforms they are ('val_dataloader'); None takes the
            training set's own.
        batch_size: videos, with all their captions, that are encoded at a time.
        views: number N of draws of random transforms that the cache holds of each video, such as
            those of `AugmentFrames`; each batch has one of them, at random. It takes N times the
            encoding and the room of frames. 0: one view, and random transforms are refused.

    Raises:
        TypeError: at the start of a run whose training set is not a `TextVideoDataset`.
        ValueError: at the start of a run whose cached pass would draw at random, or whose config
            has no data loader of the name given.
        OSError: when the cache is built and the disk has no room for it.
    """

    priority = 'HIGH'  # after StageSwitchHook, before the sampler is told the epoch

    def __init__(
        self,
        directory: str | None = None,
        pipeline: Sequence[Mapping[str, Any]] | str | None = None,
        batch_size: int = 32,
        views: int = 0,
    ) -> None:
        self.directory = directory
        self.pipeline = pipeline
        self.batch_size = batch_size
        self.views = views
        self._is_cached = False

    def before_train(self, runner: Runner) -> None:
        """Refuse at once what could not be cached after hours of stage one."""
        if not self.views:
            self._whole_videos(runner, runner.train_loop.dataloader).refuse_random()

    def before_train_epoch(self, runner: Runner) -> None:
        """Give the loop cached features once the extractor is frozen."""
        if self._is_cached or TextVideoRetriever.of(runner.model).stage != 'generation':
            return
        loader = runner.train_loop.dataloader
        sizes = TextVideoRetriever.of(runner.model).gallery_sizes
        runner.train_loop.dataloader = cached_loader(loader, self._open(runner, loader), sizes)
        self._is_cached = True

    def _open(self, runner: Runner, loader: DataLoader) -> FeatureStore:
        model, videos = TextVideoRetriever.of(runner.model), self._whole_videos(runner, loader)
        root = Path(self.directory or Path(runner.work_dir) / 'feature_cache').resolve()
        fill = partial(
            cache_features,
            model=model,
            videos=videos,
            batch_size=self.batch_size,
            num_workers=loader.num_workers,
            log=runner.logger.info,
            # Training would encode in the optimizer wrapper's mixed precision, if it has one.
            precision=partial(runner.optim_wrapper.optim_context, model),
            views=self.views,
        )
        made_of = fingerprint(model, videos.entries, self._settings(runner))
        store = open_or_build(root, made_of, fill, runner.logger.info)
        runner.logger.info(
            f'Training on cached features of {store.num_videos:,} videos and {store.num_texts:,} '
            f'texts in {root}.'
        )
        return store

    def _whole_videos(self, runner: Runner, loader: DataLoader) -> WholeVideos:
        if self.pipeline is None:
            return WholeVideos(loader.dataset)
        steps = [TRANSFORMS.build(dict(step)) for step in self._transforms(runner)]
        return WholeVideos(loader.dataset, Compose(steps))

    def _transforms(self, runner: Runner) -> Sequence[Mapping[str, Any]]:
        """Return the configs of the transforms of the cached pass."""
        if self.pipeline is not None and not isinstance(self.pipeline, str):
            return self.pipeline
        name = self.pipeline or 'train_dataloader'
        if not runner.cfg.get(name):
            raise ValueError(
                f'FeatureCacheHook takes the transforms of {name}, and the config has none of that '
                'name. Give the hook a pipeline of its own.'
            )
        return runner.cfg[name].dataset.pipeline

    def _settings(self, runner: Runner) -> dict[str, Any]:
        """What the features depend on beside weights and data."""
        model, wrapper = TextVideoRetriever.of(runner.model), runner.optim_wrapper
        return dict(
            transforms=self._transforms(runner),
            extractor={key: runner.cfg.model.get(key) for key in EXTRACTOR},
            precision=[type(wrapper).__name__, str(getattr(wrapper, 'cast_dtype', None))],
            negatives=model.num_cached_negatives,
            views=self.views,
        )
