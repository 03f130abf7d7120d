"""Training and testing from a config."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import (
    barrier,
    broadcast_object_list,
    get_world_size,
    init_dist,
    is_distributed,
    is_main_process,
)
from mmengine.logging import print_log
from mmengine.runner import Runner

from diffusionret_mm.apis.backbone import follow_backbone
from diffusionret_mm.compat import wait_for_a_free_second
from diffusionret_mm.engine.config_differences import NAMED_HOOKS
from diffusionret_mm.engine.global_batch import share_global_batch
from diffusionret_mm.engine.memory import keep_freed_memory
from diffusionret_mm.evaluation import METRICS_FILE, write_metrics
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.locks import LockedError, locked

# Names that mmengine has default hooks for; there, None leaves a default out.
MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')


def train_retriever(cfg: Config) -> dict[str, float]:
    """Train, test the best checkpoint of the last stage, and write its metrics.

    Args:
        cfg: config with a `work_dir`; `metrics.json` is left there. With `choose_on_test` the test
            split chooses the best checkpoint, and the whole training split is trained on.

    Returns:
        The flat metrics of the test split.

    Raises:
        ValueError: if the batches of the processes do not make the global batch.
        LockedError: if another run works in the folder; it names the process.
    """
    with run_folder(cfg):
        return _train(cfg)


def _train(cfg: Config) -> dict[str, float]:
    if not torch.cuda.is_available():
        keep_freed_memory()
    share_global_batch(cfg, get_world_size())
    if cfg.get('choose_on_test'):
        validate_on_test(cfg)
    runner = build_runner(cfg)
    if cfg.get('choose_on_test'):
        runner.logger.warning(
            'choose_on_test: the best checkpoint is chosen on the test split, as published code '
            'does, so its test metrics are too good; training takes the whole training split.'
        )
    runner.train()
    best = runner.message_hub.runtime_info.get('best_ckpt')
    if best is None:
        print_log('No validation chose a best checkpoint; testing the last state.', 'current')
    else:
        barrier()  # rank 0 may still be writing it
        runner.load_checkpoint(best)
    metrics = runner.test()
    save_metrics(metrics, Path(cfg.work_dir) / METRICS_FILE)
    return metrics


def test_retriever(cfg: Config, checkpoint: str | None, out: str | None) -> dict[str, float]:
    """Test a checkpoint, or pre-trained weights.

    Args:
        cfg: config with a `work_dir`.
        checkpoint: path of the checkpoint; None: see `build_tester`.
        out: file for the metrics, or None.

    Returns:
        The flat metrics of the test split.

    Raises:
        FileNotFoundError: if there is no such checkpoint.
        CheckpointError: if it does not fit the model, or parts of it would be random without one.
        LockedError: if another run works in the folder; it names the process.
    """
    with run_folder(cfg):
        metrics = build_tester(cfg, checkpoint).test()
        if out is not None:
            save_metrics(metrics, Path(out))
    return metrics


@contextmanager
def run_folder(cfg: Config) -> Iterator[None]:
    """Join the processes of a run, and keep other runs out of its folder until it has ended.

    The main process holds the lock for all of its run. The lock ends with that process, however it
    ends.

    Args:
        cfg: config with a `work_dir`.

    Raises:
        LockedError: on every process, if another run works in the folder.
        OSError: on every process, if the folder cannot be written.
    """
    join_processes(cfg)
    with ExitStack() as stack:
        errors: list[Exception | None] = [None]
        if is_main_process():
            try:
                stack.enter_context(locked(Path(cfg.work_dir) / 'run'))
            except LockedError as error:
                errors = [LockedError(_in_use(cfg.work_dir, error.holder), error.holder)]
            except OSError as error:
                errors = [error]
        broadcast_object_list(errors)
        if errors[0] is not None:
            raise errors[0]
        yield


def _in_use(folder: str, holder: str) -> str:
    return (
        f'{folder} is the folder of another run ({holder}), which has not ended; wait for it or '
        'stop it, or give this run a folder of its own by --work-dir.'
    )


def validate_on_test(cfg: Config) -> None:
    """Validate on the test split, and train on the whole training split.

    Args:
        cfg: the whole config; it is changed.
    """
    cfg.val_dataloader = copy.deepcopy(cfg.test_dataloader)
    cfg.val_evaluator = copy.deepcopy(cfg.test_evaluator)
    cfg.train_dataloader.dataset.pop('rows', None)


def use_amp(cfg: Config, dtype: str) -> None:
    """Make every optimizer wrapper of the config one of mixed precision.

    Args:
        cfg: the whole config; it is changed.
        dtype: 'float16', whose loss is scaled, or 'bfloat16', which needs no scale.

    Raises:
        RuntimeError: on a machine without GPU.
    """
    if not torch.cuda.is_available():
        raise RuntimeError(
            '--amp needs a GPU: on a CPU mixed precision is slower than float32. Train without it.'
        )
    scale = 'dynamic' if dtype == 'float16' else 1.0
    wrappers = [cfg.optim_wrapper]
    stage_switch = (cfg.get('default_hooks') or {}).get('stage_switch')
    if stage_switch is not None:
        wrappers.append(stage_switch.optim_wrapper)
    for wrapper in wrappers:
        wrapper.update(type='AmpOptimWrapper', dtype=dtype, loss_scale=scale)


def build_runner(cfg: Config) -> Runner:
    """Build mmengine's runner, on GPUs where there are any, else on the CPU.

    Args:
        cfg: the whole config.
    """
    refuse_unnamed_hooks(cfg)
    told = follow_backbone(cfg)
    _leave_out_hooks(cfg)
    join_processes(cfg)
    wait_for_a_free_second()
    runner = Runner.from_cfg(cfg)
    for message in told:
        runner.logger.info(message)
    return runner


def build_tester(cfg: Config, checkpoint: str | None) -> Runner:
    """Build a runner that is going to test.

    Args:
        cfg: the whole config; it is changed.
        checkpoint: path of the checkpoint, which `Runner.test` loads; None: that of
            `cfg.load_from`, or else the pre-trained weights of the config.

    Raises:
        CheckpointError: if there is no checkpoint, and parts of the model would be random.
    """
    cfg.load_from = checkpoint or cfg.get('load_from')
    runner = build_runner(cfg)
    if not cfg.load_from:
        TextVideoRetriever.of(runner.model).load_pretrained()
    return runner


def _leave_out_hooks(cfg: Config) -> None:
    """Take out hooks that are None, such as `default_hooks.stage_switch=None`.

    mmengine does that for its own six names alone.
    """
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in MMENGINE]:
        del hooks[name]


def refuse_unnamed_hooks(cfg: Config) -> None:
    """Refuse hooks in `custom_hooks` that belong to `default_hooks`, where they have names.

    Raises:
        ValueError: if there is one; it says where to put it.
    """
    for hook in cfg.get('custom_hooks') or ():
        name = NAMED_HOOKS.get(hook['type'])
        if name is not None:
            raise ValueError(
                f'{hook["type"]} is an entry of default_hooks now: write '
                f'default_hooks = dict({name}=dict(type={hook["type"]!r}, ...)) in place of '
                f'custom_hooks, and default_hooks.{name}.OPTION in --cfg-options.'
            )


def join_processes(cfg: Config) -> None:
    """Join the process group of the launcher, if there is one.

    Args:
        cfg: the whole config; it is changed on a machine without GPU.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none':
        return
    if not torch.cuda.is_available():
        # mmengine gives DistributedDataParallel the index of a GPU unless told otherwise.
        cfg.env_cfg.dist_cfg.backend = 'gloo'
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
    if not is_distributed():
        init_dist(launcher, **cfg.env_cfg.dist_cfg)


def save_metrics(metrics: dict[str, float], path: Path) -> None:
    """Write the metrics as JSON, on the main process alone."""
    if is_main_process():
        write_metrics(path, metrics)
        print_log(f'Metrics: {os.path.relpath(path)}', 'current')
