"""The hook that records how a run was started, and on what data."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop

from diffusionret_mm.engine.run_record import (
    append_record,
    describe_data,
    environment,
    protocol_of,
    read_records,
    source_state,
    write_records,
)

FILE = 'run.json'


@HOOKS.register_module()
class RunRecordHook(Hook):
    """Keeps `run.json` in the work dir: a list with a record of each start, resumptions included.

    A record holds time, command line, config, versions, commit and changed files of the source,
    seed, number of processes, global batch, the checkpoint gone on from, and the protocol. Of each
    split it holds the number of videos and captions, and checksums of annotation files and
    manifest.
    """

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Record the start of training."""
        if is_main_process():
            self._record(runner, 'train')

    def before_test(self, runner: Runner) -> None:
        """Record the test split, or the start of a mere test."""
        if not is_main_process():
            return
        path = Path(runner.work_dir, FILE)
        if not isinstance(runner._train_loop, BaseLoop):
            self._record(runner, 'test')
            return
        records = read_records(path)
        records[-1]['data']['test'] = describe_data(runner.test_loop.dataloader.dataset)
        write_records(path, records)

    def _record(self, runner: Runner, kind: str) -> None:
        loops = dict(train=runner._train_loop, val=runner._val_loop, test=runner._test_loop)
        record = dict(
            kind=kind,
            started=time.strftime('%Y-%m-%dT%H:%M:%S%z'),
            command=shlex.join(sys.orig_argv),
            config=runner.cfg.filename,
            log=runner.log_dir,
            went_on_from=runner._load_from,
            resumed=bool(runner._resume),
            seed=runner.seed,
            deterministic=runner.deterministic,
            processes=get_world_size(),
            **_progress(runner),
            data={
                split: describe_data(loop.dataloader.dataset)
                for split, loop in loops.items()
                if isinstance(loop, BaseLoop)
            },
            protocol=protocol_of(runner.cfg),
            source=source_state(Path(__file__).parents[2]),
            environment=environment(),
        )
        append_record(Path(runner.work_dir, FILE), record)


def _progress(runner: Runner) -> dict[str, Any]:
    """Where training starts, and its global batch; nothing for a test."""
    if not isinstance(runner._train_loop, BaseLoop):
        return {}
    batch = runner.train_loop.dataloader.batch_sampler.batch_size * get_world_size()
    return dict(global_batch=batch, epoch=runner.epoch, iteration=runner.iter)
