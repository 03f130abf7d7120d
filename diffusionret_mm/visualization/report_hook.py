"""The hook that writes the report of a run."""

from __future__ import annotations

import os
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from diffusionret_mm.visualization.pictures import SplitPictures
from diffusionret_mm.visualization.run_report import Report

FILE = 'report.html'


@HOOKS.register_module()
class ReportHook(Hook):
    """Writes `report.html` into the work dir after a test: numbers, pictures, hardest failures.

    The page is one file that needs no network. Its pictures also go to the visualizer, and so to
    every backend of the config. A report that fails is logged as an error with its cause, and the
    run goes on: its metrics must not be lost with a picture.

    Args:
        draw: whether to write it.
        num_queries: texts that are shown, evenly spread over the split, the same in every run.
        num_failures: texts of the worst rank that are listed.

    Raises:
        ValueError: if a number is not positive.
    """

    priority = 'LOWEST'  # other hooks may add metrics

    def __init__(self, draw: bool = True, num_queries: int = 3, num_failures: int = 10) -> None:
        if num_queries < 1 or num_failures < 1:
            raise ValueError(
                f'num_queries and num_failures count from 1; got {num_queries}, {num_failures}. '
                'draw=False writes no report.'
            )
        self.draw = draw
        self.num_queries = num_queries
        self.num_failures = num_failures
        self._pictures: SplitPictures | None = None
        self._metrics: dict[str, float] = {}

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep what the pictures need, on the main process alone."""
        if not self.draw or not is_main_process():
            return
        self._pictures = SplitPictures.of_test(runner)
        self._metrics = dict(metrics or {})

    def after_run(self, runner: Runner) -> None:
        """Write the report, outside of what counts as the test."""
        if self._pictures is None:
            return
        path = Path(runner.work_dir, FILE)
        runner.logger.info('Drawing the report.')
        try:
            self._write(runner, path)
            runner.logger.info(f'Report: {os.path.relpath(path)}')
        except Exception:
            runner.logger.exception(f'The report {path} could not be written.')
        self._pictures = None

    def _write(self, runner: Runner, path: Path) -> None:
        # runner.iter would build the training loop, and its data, of a mere test.
        trained = isinstance(runner._train_loop, BaseLoop)
        step = runner.iter if trained else 0
        report = Report(
            self._pictures,
            self._metrics,
            work_dir=path.parent,
            num_queries=self.num_queries,
            num_failures=self.num_failures,
            on_image=lambda name, image: runner.visualizer.add_image(name, image, step),
        )
        best = runner.message_hub.runtime_info.get('best_ckpt') or runner._load_from
        state = 'The last state of training.' if trained else 'Pre-trained weights.'
        source = f'Checkpoint {os.path.basename(best)}.' if best else state
        report.write(path, title=runner.experiment_name, source=source)
