"""Test a checkpoint and keep what its pictures need."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from diffusionret_mm.apis.run import build_runner
from diffusionret_mm.visualization import SplitPictures


def evaluate_for_pictures(cfg: Config, checkpoint: str) -> tuple[SplitPictures, Visualizer]:
    """Test a checkpoint as `test_retriever` does, without a report.

    Args:
        cfg: config with a `work_dir`.
        checkpoint: path of the checkpoint.

    Returns:
        The pictures of the test split, and the visualizer of the config.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        CheckpointError: if it does not fit the model.
    """
    cfg.load_from = checkpoint
    cfg.default_hooks.pop('report', None)
    runner = build_runner(cfg)
    keeper = _KeepPictures()
    runner.register_hook(keeper)
    runner.test()
    return keeper.pictures, runner.visualizer


class _KeepPictures(Hook):
    """Holds on to features and scores, which the loop drops after its hooks."""

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        self.pictures = SplitPictures.of_test(runner)
