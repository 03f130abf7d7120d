"""Evaluations and data sets from which pictures are drawn."""

from __future__ import annotations

import copy

from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.apis.run import build_tester, run_folder
from diffusionret_mm.datasets import TextVideoDataset
from diffusionret_mm.visualization import PictureError, SplitPictures


def evaluate_for_pictures(cfg: Config, checkpoint: str | None) -> tuple[SplitPictures, Visualizer]:
    """Test a checkpoint as `test_retriever` does, without a report.

    Args:
        cfg: config with a `work_dir`.
        checkpoint: path of the checkpoint; None: see `build_tester`.

    Returns:
        The pictures of the test split, and the visualizer of the config.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        CheckpointError: if it does not fit the model, or parts of it would be random without one.
        LockedError: if another run works in the folder; it names the process.
    """
    cfg.default_hooks.pop('report', None)
    keeper = _KeepPictures()
    with run_folder(cfg):
        runner = build_tester(cfg, checkpoint)
        runner.register_hook(keeper)
        runner.test()
    return keeper.pictures, runner.visualizer


def build_dataset(cfg: Config, split: str) -> TextVideoDataset:
    """Build a split to look at it, with all captions of each item.

    Args:
        cfg: config with the data loader of the split.
        split: 'train', 'val' or 'test'.

    Raises:
        PictureError: if the config has no such split.
    """
    loader = cfg.get(f'{split}_dataloader')
    if loader is None:
        raise PictureError(f'{cfg.filename} has no {split}_dataloader.')
    init_default_scope(cfg.get('default_scope', 'mmaction'))
    follow_backbone(cfg)
    dataset = copy.deepcopy(loader.dataset)
    dataset.pop('captions_per_video', None)
    return DATASETS.build(dataset)


class _KeepPictures(Hook):
    """A hook that keeps features and scores, which the loop drops after its hooks."""

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.pictures = SplitPictures.of_test(runner)
